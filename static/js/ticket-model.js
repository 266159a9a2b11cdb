/** The order ticket: what was typed becomes an order or sentences that say what is wrong with it. Pure. */

import * as decimal from "./decimal.js";
import * as format from "./format.js";

export const TIMES = [
  ["GTC", "Good till cancelled"],
  ["IOC", "Immediate or cancel: what is not filled at once is cancelled"],
  ["FOK", "Fill or kill: all of it at once, or nothing"],
];

/**
 * A number that was typed; null if it is none. A comma may mean either: it groups thousands only where a point comes
 * after it, or there are two. "0,001" and "1,234" are none.
 */
export function typed(text) {
  const given = text.trim();
  const grouped = /^[1-9]\d{0,2}((,\d{3})+\.\d*|(,\d{3}){2,})$/.test(given);
  const plain = grouped ? given.replaceAll(",", "") : given;
  return /^\d{1,15}(\.\d{0,15})?$|^\.\d{1,15}$/.test(plain) ? decimal.parse(plain.replace(/^\./, "0.")) : null;
}

/**
 * @param form {side: "buy"|"sell", type: "limit"|"market", price, size: text, postOnly, reduceOnly, time}
 * @param market row of /api/markets/
 * @returns {{order: object|null, price: object|null, size: object|null, notional: object|null, problems: object}}
 *   `order` is the body without its key, null while there are `problems` (field -> sentence, "" while it is empty)
 */
export function read(form, market) {
  const problems = {};
  const isLimit = form.type === "limit";
  const size = number(form.size, "Size", market.lot, problems, "size");
  const price = isLimit ? number(form.price, "Price", market.tick, problems, "price") : null;
  const least = decimal.parseOrNull(market.min_size);
  if (size && least && decimal.compare(size, least) < 0)
    problems.size ??= `The smallest order here is ${market.min_size} ${market.base}.`;
  const notional = size && price ? decimal.multiply(size, price) : null;
  const worth = decimal.parseOrNull(market.min_notional);
  if (notional && worth && decimal.compare(notional, worth) < 0)
    problems.size ??= `The smallest order here is worth ${format.plain(market.min_notional)} ${market.quote}.`;
  if (market.status !== "trading") problems.market = `${market.symbol} is not traded now: ${market.status}.`;
  const order = {
    symbol: market.symbol,
    side: form.side,
    size: size && decimal.text(decimal.normalize(size)),
    price: price && decimal.text(decimal.normalize(price)),
    post_only: isLimit && form.postOnly,
    reduce_only: Boolean(market.settle) && form.reduceOnly,
    time_in_force: isLimit && !form.postOnly ? form.time : isLimit ? "GTC" : "IOC",
  };
  return { order: Object.keys(problems).length === 0 ? order : null, price, size, notional, problems };
}

function number(text, name, step, problems, field) {
  if (text.trim() === "") {
    problems[field] = "";
    return null;
  }
  const value = typed(text);
  if (!value) problems[field] = `${name} is a number like 1234.5.`;
  else if (value.n <= 0n) problems[field] = `${name} is more than zero.`;
  else if (step && !isMultiple(value, decimal.parse(step)))
    problems[field] = `${name} goes in steps of ${format.plain(decimal.text(decimal.normalize(decimal.parse(step))))}.`;
  else return value;
  return null;
}

function isMultiple(value, step) {
  const places = Math.max(value.places, step.places);
  const [a, b] = [decimal.rescale(value, places).n, decimal.rescale(step, places).n];
  return b === 0n || a % b === 0n;
}

/**
 * An order against a book. Everything is `null` where the book does not tell it.
 * @param order of read()  @param data of an ungrouped `book` frame, or null  @param fees {maker_bps, taker_bps} or null
 * @returns {{best: object|null, own: object|null, away: object|null, crosses: boolean, walked: object|null,
 *   notional: object|null, fee: object|null, role: "maker"|"taker"|"both"}} `best` of the other side, `own` of this;
 *   `away`: bps that a limit price stands from the own side's best (above zero: behind it, below: before it);
 *   `walked`: what it would take at once {levels, taken, whole, average, worst, cost, slippage in bps from the best}
 */
export function against(order, data, fees) {
  const buys = order.side === "buy";
  const size = decimal.parse(order.size);
  const price = decimal.parseOrNull(order.price);
  const best = bestOf(data, buys ? "ask" : "bid");
  const own = bestOf(data, buys ? "bid" : "ask");
  const crosses = Boolean(price && best && reaches(buys, price, best));
  const takes = !price || crosses;
  const walked = takes && data ? walk(data, buys, size, price, best) : null;
  const behind = price && own && (buys ? decimal.subtract(own, price) : decimal.subtract(price, own));
  const away = behind ? format.basisPoints(behind, own) : null;
  const taken = walked?.taken ?? decimal.ZERO;
  const rest = price ? decimal.multiply(decimal.subtract(size, taken), price) : decimal.ZERO;
  const seen = price || walked?.whole;
  const notional = seen ? decimal.add(walked?.cost ?? decimal.ZERO, rest) : null;
  const role = !takes ? "maker" : !price || walked?.whole ? "taker" : "both";
  return { best, own, away, crosses, walked, notional, fee: feeOf(walked, rest, notional, fees), role };
}

function feeOf(walked, rest, notional, fees) {
  if (!notional || !fees) return null;
  const share = (amount, bps) => {
    const product = decimal.multiply(amount, decimal.parse(bps));
    return { n: product.n, places: product.places + 4 };
  };
  const taking = share(walked?.cost ?? decimal.ZERO, fees.taker_bps);
  return decimal.add(taking, share(rest, fees.maker_bps));
}

function bestOf(data, side) {
  return data?.[side] ? decimal.fromInteger(data[side][0], data.price_decimals) : null;
}

function reaches(buys, price, level) {
  const order = decimal.compare(price, level);
  return buys ? order >= 0 : order <= 0;
}

/** What a size takes of the other side's levels, no further than a limit price. */
function walk(data, buys, size, limit, best) {
  let left = size;
  let cost = decimal.ZERO;
  let levels = 0;
  let worst = null;
  for (const [at, amount] of buys ? data.asks : data.bids) {
    const price = decimal.fromInteger(at, data.price_decimals);
    if (left.n === 0n || (limit && !reaches(buys, limit, price))) break;
    const base = decimal.fromInteger(amount, data.size_decimals);
    const part = decimal.compare(base, left) <= 0 ? base : left;
    cost = decimal.add(cost, decimal.multiply(price, part));
    left = decimal.subtract(left, part);
    worst = price;
    levels += 1;
  }
  const taken = decimal.subtract(size, left);
  if (taken.n === 0n) return { levels, taken, whole: false, average: null, worst, cost, slippage: null };
  const average = decimal.divide(cost, taken, data.price_decimals + 2);
  const slippage = best && format.basisPoints(decimal.absolute(decimal.subtract(average, best)), best);
  return { levels, taken, whole: left.n === 0n, average, worst, cost, slippage };
}

/** Sentences of warning about an order, most serious first. @param view of against()  @param status of the book */
export function warnings(order, view, status) {
  const result = [];
  const { away, walked } = view;
  const why = status.reason ? `: ${status.reason}` : "";
  if (!status.usable) result.push(`The book is ${status.state}${why}. What is said of it is old.`);
  if (!order.price && !view.best)
    result.push("The other side of the book is not known: nobody can say at what price this fills.");
  if (!order.price && walked && !walked.whole) {
    const held = format.fixed(decimal.normalize(walked.taken));
    result.push(`The ${walked.levels} levels that are known hold only ${held}: the rest fills worse, or not.`);
  }
  if (order.post_only && view.crosses) result.push("The price crosses the book: a post-only order will be refused.");
  else if (order.price && view.crosses) result.push("The price crosses the book: it takes at once.");
  if (walked?.slippage && decimal.compare(walked.slippage, SLIPPAGE) > 0)
    result.push(`It walks the book by ${format.bpsText(walked.slippage)}.`);
  const far = away && decimal.absolute(away);
  if (far && decimal.compare(far, FAR) > 0) {
    const ratio = { n: far.n, places: far.places + 4 };
    result.push(`The price is ${format.percent(ratio, 1, { plus: false })} from the best.`);
  }
  return result;
}

const SLIPPAGE = decimal.parse("10");
const FAR = decimal.parse("500");

/**
 * What an order of this side is paid from: the asset, and how much of it is free in the wallet that pays for the market.
 * What no balance tells is null, not nothing: an exchange leaves out what it does not hold, and what it does not tell.
 * @param rows balances of the account
 */
export function freeOf(account, market, side, rows) {
  const asset = market.settle || (side === "buy" ? market.quote : market.base);
  const wallet = account.wallets[market.product];
  const row = rows.find((one) => one.asset === asset && one.product === wallet);
  return { asset, free: row?.free ?? null };
}
