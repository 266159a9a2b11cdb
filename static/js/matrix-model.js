/** What the spread matrix shows, computed from one `matrix` frame: cells, heat, the words behind a figure. Pure. */

import * as decimal from "./decimal.js";
import * as format from "./format.js";
import { legNames } from "./across-model.js";

/** From how many basis points net on a cell is one step warmer. */
const WARM = ["0", "2", "5", "10", "25"];
/** Below how many it is one step colder. */
const COLD = ["0", "-10", "-30", "-100"];

const HOUR_MS = 3_600_000;

/** The topic of a symbol's matrix. @param size canonical decimal text @param fees "taker" or "maker" */
export function matrixTopic(symbol, size, fees) {
  return `matrix@${size}${fees === "maker" ? ",maker" : ""}:${symbol}`;
}

/**
 * Cells by row (buy on) and column (sell on); the diagonal is null.
 * @param {object} data of a `matrix` frame
 * @param {number} laterMs how long ago the frame was sent, to go on counting
 */
export function grid(data, laterMs) {
  const cells = data.legs.map(() => data.legs.map(() => null));
  for (const pair of data.pairs) cells[pair.buy][pair.sell] = cell(pair, pairAge(data, pair, laterMs));
  return cells;
}

/** The age of the older leg in ms; null if one of them never came. */
export function pairAge({ legs }, pair, laterMs) {
  const ages = [legs[pair.buy].age_ms, legs[pair.sell].age_ms];
  return ages.includes(null) ? null : Math.max(...ages) + laterMs;
}

function cell(pair, ageMs) {
  if (pair.net_bps === null) return { pair, text: format.NONE, heat: null, ageMs };
  const net = decimal.parse(pair.net_bps);
  return { pair, text: bpsText(net), heat: heat(net), ageMs };
}

/** "+7.25", "−48.25", "−100.3", "−1,250": fewer places where they say nothing. */
export function bpsText(bps) {
  const above = (limit) => decimal.compare(decimal.absolute(bps), decimal.parse(limit)) >= 0;
  return format.fixed(floored(bps, above("1000") ? 0 : above("100") ? 1 : 2), undefined, { plus: true });
}

/** Rounded down, as the server does: a spread is never shown larger than it is. */
export function floored(d, places) {
  if (d.places <= places) return decimal.rescale(d, places);
  const by = decimal.power(d.places - places);
  const quotient = d.n / by;
  return { n: d.n < 0n && d.n % by !== 0n ? quotient - 1n : quotient, places };
}

/** 1 to 5 for what is above zero, the stronger the more; 0 for nothing; -1 to -4 below. */
export function heat(bps) {
  if (bps.n === 0n) return 0;
  const steps = bps.n > 0n ? WARM : COLD;
  const beyond = (step) => decimal.compare(bps, decimal.parse(step)) * (bps.n > 0n ? 1 : -1) > 0;
  const passed = steps.filter(beyond).length;
  return bps.n > 0n ? passed : -passed;
}

/** What a cell says besides, where there is room: "gross +0.54 · most −44.87". */
export function moreText({ gross_bps: gross, largest_bps: largest }) {
  const parts = [];
  if (gross !== null) parts.push(`gross ${bpsText(decimal.parse(gross))}`);
  if (largest !== null) parts.push(`most ${bpsText(decimal.parse(largest))}`);
  return parts.join(" · ");
}

/** How long the net of a pair has been above zero, in ms; null if it is not. */
export function positiveMs(pair, nowMs) {
  return pair.positive_since_ms === null ? null : Math.max(0, nowMs - pair.positive_since_ms);
}

/** The pair of two legs, by their numbers; null for the diagonal and for legs that are not there. */
export function pairOf(data, buy, sell) {
  return data?.pairs.find((pair) => pair.buy === buy && pair.sell === sell) ?? null;
}

/** The pair that leaves the most now; null while none can be computed. */
export function bestPair(data) {
  let best = null;
  for (const pair of data.pairs) {
    if (pair.net_bps === null) continue;
    if (!best || decimal.compare(decimal.parse(pair.net_bps), decimal.parse(best.net_bps)) > 0) best = pair;
  }
  return best;
}

/**
 * A pair in words: [label, value] rows and the formula with its figures. `places` are those of average prices.
 * @returns {{title: string, rows: string[][], formula: string, reason: string}}
 */
export function explain(data, pair, { nowMs, laterMs, places }) {
  const names = legNames(data.legs);
  const buy = data.legs[pair.buy];
  const sell = data.legs[pair.sell];
  const legAge = (leg) => (leg.age_ms === null ? format.NONE : format.age(leg.age_ms + laterMs));
  const positive = positiveMs(pair, nowMs);
  const largest =
    pair.largest_bps === null
      ? format.NONE
      : `${bpsText(decimal.parse(pair.largest_bps))}\u2009bps at ${format.clock(pair.largest_ms)}`;
  return {
    title: `Buy on ${names[pair.buy].long}, sell on ${names[pair.sell].long}`,
    reason: pair.reason,
    rows: [
      ["Net", figure(pair.net_bps, pair.net, data.quote)],
      ["Gross", figure(pair.gross_bps, pair.gross, data.quote)],
      ["Buy average", walked(buy.buy, names[pair.buy].short, places)],
      ["Sell average", walked(sell.sell, names[pair.sell].short, places)],
      ["Fees", `${feeText(buy)} + ${feeText(sell)}\u2009bps ${data.fees}`],
      ["Ages", `${legAge(buy)} and ${legAge(sell)}`],
      ["Above zero", positive === null ? "no" : `for ${format.age(positive)}`],
      [nowMs - data.since_ms < HOUR_MS ? "Largest so far" : "Largest, 1 h", largest],
    ],
    formula: formula(data, pair, buy, sell),
  };
}

function figure(bps, amount, quote) {
  if (bps === null) return format.NONE;
  return `${bpsText(decimal.parse(bps))}\u2009bps · ${money(amount, { plus: true })} ${quote}`;
}

function walked(walk, name, places) {
  if (!walk) return `${format.NONE} ${name}`;
  if (walk.average === null) return `only ${format.plain(walk.available)} there · ${name}`;
  return `${format.plain(walk.average, places)} · ${name}`;
}

/** "10", and "10*" where the user entered it. */
export function feeText(leg) {
  return `${format.plain(leg.fee_bps)}${leg.fee_source === "user" ? "*" : ""}`;
}

/** "(42,011.35 − 42,016.25) − 10 bps × 42,016.25 − 40 bps × 42,011.35 = −214.97 USDT" */
function formula(data, pair, buy, sell) {
  if (pair.net === null) return "";
  const [cost, proceeds] = [money(buy.buy.cost), money(sell.sell.cost)];
  const fee = (leg, amount) => {
    const bps = decimal.parse(leg.fee_bps);
    // A rebate comes in.
    return `${bps.n < 0n ? "+" : "−"} ${format.fixed(decimal.absolute(bps))}\u2009bps × ${amount}`;
  };
  return `(${proceeds} − ${cost}) ${fee(buy, cost)} ${fee(sell, proceeds)} = ${money(pair.net, { plus: true })} ${data.quote}`;
}

/** An amount with two places, or four significant ones where it is small. */
export function money(text, options) {
  const d = decimal.parse(text);
  const small = decimal.compare(decimal.absolute(d), decimal.ONE) < 0;
  return format.fixed(d, Math.min(Math.max(d.places, 2), small ? 4 : 2), options);
}

/** Sizes in 1-2-5 steps around `size`: the next one up (1) or down (-1), as canonical text. */
export function stepSize(size, by) {
  const d = decimal.normalize(decimal.parse(size));
  const digits = d.n.toString();
  const exponent = digits.length - 1 - d.places;
  const lead = Number(digits[0]);
  const exact = /^[125]0*$/.test(digits);
  const ladder = [1, 2, 5];
  const below = ladder.findLastIndex((step) => step <= lead);
  let index = by > 0 ? below + 1 : exact ? below - 1 : below;
  let power = exponent;
  if (index > 2) [index, power] = [0, power + 1];
  if (index < 0) [index, power] = [2, power - 1];
  return scaled(ladder[index], power);
}

function scaled(factor, power) {
  const n = BigInt(factor);
  return decimal.text(power >= 0 ? { n: n * decimal.power(power), places: 0 } : { n, places: -power });
}

/**
 * A size to begin with: a round one (1-2-5) worth about 10,000 in the quote, that every exchange takes.
 * @param markets rows of /api/markets/ of the symbol  @param price decimal
 */
export function usualSize(markets, price) {
  const worth = decimal.divide({ n: 10_000n, places: 0 }, price, 12);
  let size = "1";
  while (decimal.compare(decimal.parse(size), worth) > 0 && size.length < 14) size = stepSize(size, -1);
  while (decimal.compare(decimal.parse(stepSize(size, 1)), worth) <= 0) size = stepSize(size, 1);
  const least = markets.flatMap(({ min_size: min, lot }) => [min, lot]).filter(Boolean);
  while (least.some((text) => decimal.compare(decimal.parse(size), decimal.parse(text)) < 0)) size = stepSize(size, 1);
  return size;
}

/** Canonical text of a size that was typed; null if it is none. */
export function readSize(text) {
  const typed = text.trim().replace(",", ".");
  if (!/^\d{1,13}(\.\d{1,12})?$/.test(typed)) return null;
  const d = decimal.normalize(decimal.parse(typed));
  return d.n > 0n && decimal.compare(d, decimal.parse("1000000000000")) <= 0 ? decimal.text(d) : null;
}
