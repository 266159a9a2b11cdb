/** Own fills as marks on the bars: one for each bar, side and price, or for a whole side if these are many. Pure. */

import * as decimal from "./decimal.js";
import * as format from "./format.js";
import { few } from "./own-orders.js";

const MOST_A_BAR = 2; // marks of a side in one bar; more would lie on one another

/**
 * @param fills rows of one market, in any order  @param ms length of a bar  @param firstMs opening of the oldest bar
 * @returns {{openMs: number, side: string, price: object, size: string, count: number}[]} oldest first; `price` is the
 *   average of `count` fills, by size
 */
export function marksOf(fills, ms, firstMs) {
  const bars = new Map(); // "openMs side" -> Map price text -> fills
  for (const fill of fills) {
    const openMs = Math.floor(fill.exchange_ms / ms) * ms;
    if (firstMs === null || openMs < firstMs) continue;
    const key = `${openMs} ${fill.side}`;
    if (!bars.has(key)) bars.set(key, new Map());
    const prices = bars.get(key);
    const price = decimal.text(decimal.normalize(decimal.parse(fill.price)));
    if (!prices.has(price)) prices.set(price, []);
    prices.get(price).push(fill);
  }
  const marks = [];
  for (const [key, prices] of bars) {
    const [openMs, side] = key.split(" ");
    const groups = prices.size > MOST_A_BAR ? [[...prices.values()].flat()] : [...prices.values()];
    for (const group of groups) marks.push({ openMs: Number(openMs), side, ...together(group) });
  }
  return marks.sort((a, b) => a.openMs - b.openMs);
}

/** What was done in the bar that opened then: "Bought 0.3 at 61,830.2 · sold 0.1 at 61,840.0 (2 fills)". */
export function markText(marks, openMs, places) {
  const said = marks
    .filter((mark) => mark.openMs === openMs)
    .map(({ side, price, size, count }) => {
      const many = count > 1 ? ` (${count} fills)` : "";
      return `${side === "buy" ? "bought" : "sold"} ${size} at ${format.price(price, places)}${many}`;
    })
    .join(" · ");
  return said.charAt(0).toUpperCase() + said.slice(1);
}

function together(fills) {
  let size = decimal.ZERO;
  let cost = decimal.ZERO;
  let places = 0;
  for (const fill of fills) {
    const [price, part] = [decimal.parse(fill.price), decimal.parse(fill.size)];
    size = decimal.add(size, part);
    cost = decimal.add(cost, decimal.multiply(price, part));
    places = Math.max(places, price.places);
  }
  const price = size.n === 0n ? decimal.parse(fills[0].price) : decimal.divide(cost, size, places + 2);
  return { price, size: few(size), count: fills.length };
}
