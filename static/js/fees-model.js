/** What may be entered as a fee or as the threshold of arbitrage: docs/protocol.md section 5. Pure. */

import * as decimal from "./decimal.js";

export const FEE = { least: "-100", most: "1000" };
export const THRESHOLD = { least: "-1000", most: "10000" };
const MOST_PLACES = 4;

/**
 * Basis points that were typed, as decimal text.
 * @returns {{value: string|null, problem: string}}
 */
export function readBps(text, { least, most }, name) {
  const typed = text.trim().replace("−", "-").replace(",", ".");
  if (!/^[+-]?\d{1,8}(\.\d+)?$/.test(typed))
    return { value: null, problem: `${name} is a number of basis points, like 10.` };
  const d = decimal.normalize(decimal.parse(typed));
  if (d.places > MOST_PLACES) return { value: null, problem: `${name} has at most ${MOST_PLACES} decimals.` };
  const outside = decimal.compare(d, decimal.parse(least)) < 0 || decimal.compare(d, decimal.parse(most)) > 0;
  if (outside) return { value: null, problem: `${name} is between ${least} and ${most} basis points.` };
  return { value: decimal.text(d), problem: "" };
}

/** Seconds that were typed, 0 to 3600. @returns {{value: number|null, problem: string}} */
export function readSeconds(text, name) {
  const typed = text.trim().replace(",", ".");
  const value = /^\d{1,4}(\.\d{1,3})?$/.test(typed) ? Number(typed) : Number.NaN;
  if (!(value <= 3600)) return { value: null, problem: `${name} is a number of seconds from 0 to 3600.` };
  return { value, problem: "" };
}

/** "10" -> "0.10 %", for those who think in percent. */
export function asPercent(bps) {
  const d = decimal.normalize({ n: bps.n, places: bps.places + 2 });
  return `${decimal.text(decimal.rescale(d, Math.max(2, d.places)))}\u2009%`;
}

/** Where a fee comes from, as words. */
export function sourceText({ source, note }) {
  if (source === "user") return "your own";
  if (source === "file") return "spreadboard.toml";
  return note || "default";
}
