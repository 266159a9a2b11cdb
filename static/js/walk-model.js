/** Two books side by side: one exchange's asks, another's bids, and how far a size walks into each. Pure. */

import * as decimal from "./decimal.js";
import * as format from "./format.js";

/**
 * @param {object} data of an ungrouped `across` frame
 * @param {number} leg its number  @param side "asks" to buy, "bids" to sell
 * @param {object} size decimal, base currency  @param {number} rows how many to show
 * @returns {{rows: object[], levels: number, average: object|null, worst: object|null, taken: object, whole: boolean}}
 *   `share` of a row is how much of it is taken, 0 to 1; `bar` its size by the largest shown
 */
export function walk(data, leg, side, size, rows) {
  const levels = data.legs[leg]?.[side] ?? [];
  const largest = Math.max(1, ...levels.slice(0, rows).map(([, amount]) => amount));
  const result = [];
  let left = size;
  let cost = decimal.ZERO;
  let count = 0;
  let worst = null;
  for (const [at, amount] of levels) {
    const price = decimal.fromInteger(at, data.price_decimals);
    const base = decimal.fromInteger(amount, data.size_decimals);
    const part = left.n <= 0n ? decimal.ZERO : decimal.compare(base, left) <= 0 ? base : left;
    if (part.n > 0n) {
      cost = decimal.add(cost, decimal.multiply(price, part));
      left = decimal.subtract(left, part);
      worst = price;
      count += 1;
    }
    if (result.length >= rows) continue;
    result.push({
      priceText: format.price(price),
      sizeText: format.fixed(base, Math.min(base.places, 5)),
      share: part.n === 0n ? 0 : Math.max(0.02, ratio(part, base)),
      bar: amount / largest,
    });
  }
  const taken = decimal.subtract(size, left);
  return {
    rows: result,
    levels: count,
    average: taken.n === 0n ? null : decimal.divide(cost, taken, data.price_decimals + 2),
    worst,
    taken,
    whole: left.n === 0n,
  };
}

function ratio(part, whole) {
  return Number(decimal.divide(part, whole, 4).n) / 10_000;
}

/** Two short lines: "Ø 84,032.5", "8 levels to 84,040.65"; or how much there is. */
export function walkText({ levels, average, worst, taken, whole }, base) {
  if (!average) return ["No levels", ""];
  const count = `${levels} ${levels === 1 ? "level" : "levels"}`;
  if (!whole) return [`Only ${format.fixed(decimal.normalize(taken))} ${base}`, `in ${count} shown`];
  return [`Ø ${format.price(average)}`, `${count} to ${format.price(worst)}`];
}
