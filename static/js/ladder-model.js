/**
 * What the order book shows, computed from one frame: rows, totals, bars, spread, mid, cost of a sweep. Pure.
 *
 * Spread and mid come from the ungrouped best prices (`bid`, `ask` of the frame), never from grouped rows. A crossed or
 * locked book is a fault of the data: it is named, and nothing of it is drawn.
 */

import * as decimal from "./decimal.js";
import * as format from "./format.js";

const { fromInteger } = decimal;

/**
 * @param {object} data of a `book` frame
 * @param {{rows: number, unit: "base"|"quote"}} options
 * @returns {{crossed: boolean, asks: object[], bids: object[], scale: bigint}} rows best first, at most `rows` a side
 */
export function build(data, { rows, unit }) {
  const crossed = isCrossed(data);
  const asks = crossed ? [] : side(data, data.asks, rows, unit);
  const bids = crossed ? [] : side(data, data.bids, rows, unit);
  const last = (list) => list.at(-1)?.cumulative.n ?? 0n;
  const scale = last(asks) > last(bids) ? last(asks) : last(bids);
  for (const row of [...asks, ...bids])
    row.bar = scale === 0n ? 0 : Number((row.cumulative.n * 10000n) / scale) / 10000;
  return { crossed, asks, bids, scale };
}

function isCrossed({ bid, ask }) {
  return Boolean(bid && ask && bid[0] >= ask[0]);
}

function side(data, levels, rows, unit) {
  const result = [];
  let total = decimal.ZERO;
  for (const [price, size] of levels.slice(0, rows)) {
    const exactPrice = fromInteger(price, data.price_decimals);
    const base = fromInteger(size, data.size_decimals);
    const amount = unit === "quote" ? decimal.multiply(exactPrice, base) : base;
    total = decimal.add(total, amount);
    result.push({
      price: exactPrice,
      base,
      cumulative: total,
      bar: 0,
      priceText: format.price(exactPrice),
      sizeText: unit === "quote" ? format.compact(amount) : format.fixed(amount),
      totalText: unit === "quote" ? format.compact(total) : format.fixed(total),
    });
  }
  return result;
}

/**
 * Spread and mid of the ungrouped book; null if a side is empty or the book is crossed.
 * @returns {{spread: object, ticks: string, bps: object, mid: object}|null} decimals, except `ticks`
 */
export function middle(data, tick) {
  if (!data.bid || !data.ask || isCrossed(data)) return null;
  const bid = fromInteger(data.bid[0], data.price_decimals);
  const ask = fromInteger(data.ask[0], data.price_decimals);
  const spread = decimal.subtract(ask, bid);
  // Half of a sum: times five, one place further. Exact, and always the same number of digits.
  const mid = { n: (bid.n + ask.n) * 5n, places: data.price_decimals + 1 };
  return { spread, ticks: ticksOf(spread, tick), bps: format.basisPoints(spread, mid), mid, bid, ask };
}

/** A price difference in ticks, as text: "1", or "–" while the tick is not known. */
export function ticksOf(difference, tick) {
  if (!tick) return format.NONE;
  const step = decimal.parse(tick);
  if (step.n <= 0n) return format.NONE;
  return format.fixed(decimal.normalize(decimal.divide(difference, step, 1)));
}

/**
 * What it would cost to take all of a side's rows up to and including `index`.
 * @returns {{average: object, base: object, quote: object, slippage: object|null}|null} slippage in bps from the mid
 */
export function sweep(rows, index, mid) {
  if (index < 0 || index >= rows.length) return null;
  let base = decimal.ZERO;
  let quote = decimal.ZERO;
  for (const row of rows.slice(0, index + 1)) {
    base = decimal.add(base, row.base);
    quote = decimal.add(quote, decimal.multiply(row.price, row.base));
  }
  if (base.n === 0n) return null;
  const average = decimal.divide(quote, base, rows[0].price.places + 1);
  return {
    average,
    base,
    quote,
    slippage: mid ? decimal.absolute(format.basisPoints(decimal.subtract(average, mid), mid)) : null,
  };
}

/** The bids' share of what is visible, in percent: 0 to 100, null for an empty book. */
export function bidShare(model) {
  const bids = model.bids.at(-1)?.cumulative ?? decimal.ZERO;
  const asks = model.asks.at(-1)?.cumulative ?? decimal.ZERO;
  const sum = decimal.add(bids, asks);
  if (sum.n === 0n) return null;
  return Number(decimal.divide({ n: bids.n * 100n, places: bids.places }, sum, 0).n);
}

/**
 * Grouping steps of a market: 1-2-5 x 10^n ticks, as canonical decimal text, the tick itself first.
 * They end where a step would be more than a fiftieth of the price.
 */
export function steps(tick, price) {
  const unit = decimal.parse(tick);
  if (unit.n <= 0n) return [];
  const limit = price ? decimal.divide(price, decimal.parse("50"), price.places) : null;
  const result = [];
  for (let exponent = 0; exponent < 6; exponent += 1) {
    for (const factor of [1n, 2n, 5n]) {
      const step = { n: unit.n * factor * decimal.power(exponent), places: unit.places };
      if (result.length > 0 && limit && decimal.compare(step, limit) > 0) return result;
      result.push(decimal.text(decimal.normalize(step)));
    }
  }
  return result;
}

/** The topic of a market's book in this step; the tick itself is the ungrouped book. */
export function bookTopic(exchange, symbol, step, tick) {
  const ungrouped = !step || !tick || decimal.compare(decimal.parse(step), decimal.parse(tick)) === 0;
  return ungrouped ? `book:${exchange}:${symbol}` : `book@${step}:${exchange}:${symbol}`;
}

/**
 * The row of a side in which a price stands, or -1: exactly it in the ungrouped book (`step` null), else the one that
 * it is rounded to (bids down, asks up).
 */
export function rowOf(rows, price, isBid, step = null) {
  return rows.findIndex((row) => {
    const away = isBid ? decimal.subtract(price, row.price) : decimal.subtract(row.price, price);
    return away.n === 0n || (step !== null && away.n > 0n && decimal.compare(away, step) < 0);
  });
}

/**
 * Heights in px that let whole rows fill a ladder's visible part: as many as fit at the least height, and what is left
 * over goes to the middle row.
 * @param {number} available height of the visible part
 */
export function heights(available, { rows, least, most, middle }) {
  const half = Math.max(least, (available - middle) / 2);
  let best = null;
  for (let row = least; row <= most; row += 1) {
    const shown = Math.min(rows, Math.floor(half / row));
    const rest = half - shown * row;
    if (shown > 0 && (!best || rest < best.rest)) best = { row, rest, shown };
  }
  const { row, rest } = best ?? { row: least, rest: 0 };
  return { row, middle: Math.min(middle * 2, Math.floor(middle + 2 * rest)) };
}
