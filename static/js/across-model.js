/**
 * What the consolidated ladder shows, computed from one `across` frame: rows merged from the exchanges that the trader
 * left on, cut where they would be incomplete, and the figures of exactly these exchanges. Pure.
 *
 * An exchange that is not usable has no levels in the frame, so it is in nothing here. Exchanges that cross each other
 * are no fault: they make a band, and its rows are marked.
 */

import * as decimal from "./decimal.js";
import * as format from "./format.js";
import { exchangeCode, exchangeName } from "./exchanges.js";

const IMBALANCE_LEVELS = 10;
const MOST_PLACES = 5; // of a size, and
const MOST_DIGITS = 7; // of the largest of them

const { fromInteger } = decimal;

/** What a leg is remembered by, over all symbols: its exchange, and its quote where the frame has another. */
export function legKey(leg) {
  return leg.rate ? `${leg.exchange} ${quoteOf(leg.symbol)}` : leg.exchange;
}

/** Long and short names of every leg: with its quote where the frame has another, or the exchange twice. */
export function legNames(legs) {
  return legs.map((leg) => {
    const more = leg.rate || legs.some((other) => other !== leg && other.exchange === leg.exchange);
    const quote = more ? ` ${quoteOf(leg.symbol)}` : "";
    return { long: exchangeName(leg.exchange) + quote, short: exchangeCode(leg.exchange) + quote };
  });
}

function quoteOf(symbol) {
  return symbol.split(":")[0].split("/")[1] ?? "";
}

/** Numbers of the legs that take part. @param off Set of leg keys that the trader switched off */
export function wanted(legs, off) {
  return legs.flatMap((leg, i) => (leg.usable && !off.has(legKey(leg)) ? [i] : []));
}

/**
 * One side of several lists as one, best first, complete to its last row.
 * @param chosen numbers of the legs
 * @returns {{price: number, size: number, shares: number[][]}[]} shares are [leg, size]
 */
export function merge(legs, side, chosen) {
  const falling = side === "bids";
  const better = (a, b) => (falling ? a > b : a < b);
  let end = null;
  for (const i of chosen) {
    const reach = legs[i].reach[falling ? 0 : 1];
    if (reach !== null && (end === null || better(reach, end))) end = reach;
  }
  const rows = new Map();
  for (const i of chosen) {
    for (const [price, size] of legs[i][side]) {
      if (end !== null && better(end, price)) break;
      let row = rows.get(price);
      if (!row) rows.set(price, (row = { price, size: 0, shares: [] }));
      row.size += size;
      row.shares.push([i, size]);
    }
  }
  return [...rows.values()].sort((a, b) => (falling ? b.price - a.price : a.price - b.price));
}

/**
 * @param {object} data of an `across` frame
 * @param {{rows: number, unit: "base"|"quote", off: Set<string>}} options
 * @returns rows best first, at most `rows` a side. `parts` of a row are the legs' shares of its cumulative bar, each as
 *   [leg, from, to] between 0 and 1; `where` are the legs that stand at the price, the largest first
 */
export function build(data, { rows, unit, off }) {
  const chosen = wanted(data.legs, off);
  const asks = side(data, merge(data.legs, "asks", chosen).slice(0, rows), unit, chosen);
  const bids = side(data, merge(data.legs, "bids", chosen).slice(0, rows), unit, chosen);
  const last = (list) => list.at(-1)?.cumulative ?? decimal.ZERO;
  const largest = decimal.compare(last(asks), last(bids)) > 0 ? last(asks) : last(bids);
  for (const row of [...asks, ...bids]) {
    scaleBar(row, largest.n);
    const text = (d) => (unit === "quote" ? format.compact(d) : sizeText(d, placesFor(largest)));
    row.sizeText = text(row.amount);
    row.totalText = text(row.cumulative);
  }
  return { chosen, asks, bids, scale: largest.n };
}

function side(data, merged, unit, chosen) {
  const result = [];
  let total = decimal.ZERO;
  const sums = new Map(chosen.map((i) => [i, 0n]));
  for (const { price, size, shares } of merged) {
    const exactPrice = fromInteger(price, data.price_decimals);
    const base = fromInteger(size, data.size_decimals);
    const of = (amount) => (unit === "quote" ? decimal.multiply(exactPrice, amount) : amount);
    const amount = of(base);
    total = decimal.add(total, amount);
    for (const [i, share] of shares) sums.set(i, sums.get(i) + of(fromInteger(share, data.size_decimals)).n);
    result.push({
      price: exactPrice,
      base,
      amount,
      cumulative: total,
      sums: [...sums],
      where: shares.toSorted((a, b) => b[1] - a[1]).map(([i]) => i),
      shares: shares.map(([i, share]) => [i, fromInteger(share, data.size_decimals)]),
      bar: 0,
      parts: [],
      priceText: format.price(exactPrice),
    });
  }
  return result;
}

/** A size that is there is never printed as nothing. */
function sizeText(d, places) {
  const rounded = decimal.rescale(d, places);
  return rounded.n === 0n && d.n > 0n ? `<${decimal.text({ n: 1n, places })}` : format.fixed(rounded);
}

/** Of all sizes in a picture the same: five, fewer where the largest total leaves no room for so many. */
function placesFor(largest) {
  const whole = (largest.n / decimal.power(largest.places)).toString().length;
  return Math.max(0, Math.min(largest.places, MOST_PLACES, MOST_DIGITS - whole));
}

function scaleBar(row, scale) {
  const ratio = (n) => (scale === 0n ? 0 : Number((n * 10000n) / scale) / 10000);
  row.bar = ratio(row.cumulative.n);
  let sum = 0n;
  for (const [i, n] of row.sums) {
    if (n === 0n) continue;
    row.parts.push([i, ratio(sum), ratio(sum + n)]);
    sum += n;
  }
}

/**
 * Best prices over the wanted legs, and what follows from them, always from ungrouped levels.
 * @param {object} data of an `across` frame that is ungrouped, or from which no usable leg was left out
 * @returns {{bid, ask, mid, micro, imbalance, band}} prices as decimals; null where a side is empty
 */
export function figures(data, off) {
  const chosen = wanted(data.legs, off);
  const usable = data.legs.filter((leg) => leg.usable).length;
  const raw = chosen.length === usable ? data : computed(data, chosen);
  const price = (best) => best && { ...best, price: fromInteger(best.price, data.price_decimals) };
  const size = (n) => fromInteger(n, data.size_decimals);
  return {
    bid: price(raw.bid),
    ask: price(raw.ask),
    mid: fixed(raw.mid, data.price_decimals + 1),
    micro: fixed(raw.microprice, data.price_decimals + 2),
    imbalance: raw.imbalance && { levels: raw.imbalance.levels, value: fixed(raw.imbalance.value, 4) },
    band: raw.band && {
      ...raw.band,
      bps: decimal.parse(raw.band.bps),
      low: fromInteger(raw.band.low, data.price_decimals),
      high: fromInteger(raw.band.high, data.price_decimals),
      size: size(raw.band.size),
    },
  };
}

/** Always the same number of places, so that nothing jumps: the frame leaves zeros at the end out. */
function fixed(text, places) {
  return text === null ? null : decimal.rescale(decimal.parse(text), places);
}

/** The figures of docs/protocol.md section 2.7, for some of the legs. */
function computed(data, chosen) {
  const asks = merge(data.legs, "asks", chosen);
  const bids = merge(data.legs, "bids", chosen);
  const best = (row) => row && { price: row.price, size: row.size, legs: row.shares.map(([i]) => i) };
  const bid = best(bids[0]) ?? null;
  const ask = best(asks[0]) ?? null;
  if (!bid || !ask) return { bid, ask, mid: null, microprice: null, imbalance: null, band: null };
  const places = data.price_decimals;
  const big = { bid: BigInt(bid.price), ask: BigInt(ask.price), bidSize: BigInt(bid.size), askSize: BigInt(ask.size) };
  const weighted = { n: big.bid * big.askSize + big.ask * big.bidSize, places };
  return {
    bid,
    ask,
    mid: decimal.text({ n: (big.bid + big.ask) * 5n, places: places + 1 }),
    microprice: decimal.text(decimal.divide(weighted, { n: big.bidSize + big.askSize, places: 0 }, places + 2)),
    imbalance: imbalance(bids, asks),
    band: bid.price >= ask.price ? bandOf(bids, asks, bid, ask) : null,
  };
}

function imbalance(bids, asks) {
  const levels = Math.min(IMBALANCE_LEVELS, bids.length, asks.length);
  const sum = (rows) => rows.slice(0, levels).reduce((total, row) => total + BigInt(row.size), 0n);
  const [bid, ask] = [sum(bids), sum(asks)];
  const value = decimal.divide({ n: bid - ask, places: 0 }, { n: bid + ask, places: 0 }, 4);
  return { levels, value: decimal.text(value) };
}

function bandOf(bids, asks, bid, ask) {
  const bps = (BigInt(bid.price - ask.price) * 1_000_000n) / BigInt(ask.price);
  return {
    low: ask.price,
    high: bid.price,
    buy: ask.legs[0],
    sell: bid.legs[0],
    bps: decimal.text({ n: bps, places: 2 }),
    size: matched(bids, asks),
  };
}

/** How much of one another crossing bids and asks would take, best against best. */
function matched(bids, asks) {
  let [i, j, sum] = [0, 0, 0];
  let [bidLeft, askLeft] = [bids[0].size, asks[0].size];
  while (i < bids.length && j < asks.length && bids[i].price >= asks[j].price) {
    const part = Math.min(bidLeft, askLeft);
    sum += part;
    bidLeft -= part;
    askLeft -= part;
    if (bidLeft === 0) bidLeft = bids[(i += 1)]?.size ?? 0;
    if (askLeft === 0) askLeft = asks[(j += 1)]?.size ?? 0;
  }
  return sum;
}

/** Does a row stand where exchanges cross: an ask at or below the best bid, a bid at or above the best ask? */
export function inBand(row, isBid, { bid, ask, band }) {
  if (!band) return false;
  return isBid ? decimal.compare(row.price, ask.price) >= 0 : decimal.compare(row.price, bid.price) <= 0;
}

/** Rates of tied quotes, each once: "USD × 0.999800 bid, 0.999900 ask (kraken USDT/USD)". */
export function rateTexts(legs) {
  const seen = new Map();
  for (const { rate, symbol } of legs) {
    if (!rate) continue;
    const from = quoteOf(symbol);
    const figure =
      rate.bid === null
        ? rate.reason || "no rate"
        : rate.market === null
          ? "at par"
          : `× ${rate.bid} bid, ${rate.ask} ask (${rate.market})`;
    seen.set(`${from} ${rate.market}`, `${from} ${figure}`);
  }
  return [...seen.values()];
}

/** The topics of the consolidated book in this step; the finest step is the ungrouped book. */
export function acrossTopic(symbol, step, finest) {
  const coarse = step && finest && decimal.compare(decimal.parse(step), decimal.parse(finest)) > 0;
  return coarse ? `across@${decimal.text(decimal.normalize(decimal.parse(step)))}:${symbol}` : `across:${symbol}`;
}

/** The finest tick of a symbol's markets, null while none is known. */
export function finestTick(markets, symbol) {
  const ticks = markets.filter((market) => market.symbol === symbol).map((market) => decimal.parse(market.tick));
  if (ticks.length === 0) return null;
  return decimal.text(decimal.normalize(ticks.reduce((a, b) => (decimal.compare(b, a) < 0 ? b : a))));
}
