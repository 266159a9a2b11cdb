/** What the table of positions says of one: its direction, its margin, and how near its liquidation is. Pure. */

import * as decimal from "./decimal.js";
import * as format from "./format.js";

const NEAR = decimal.parse("0.10"); // of the mark: said in the colour of warnings
const CLOSE = decimal.parse("0.03");

export function isLong(row) {
  return row.side === "long" || (row.side !== "short" && decimal.parse(row.size).n > 0n);
}

/**
 * How far the mark may move against the position until it is liquidated.
 * @param stale whether the mark is old: then the distance is said to be old, and no colour soothes or warns
 * @returns {{text: string, level: ""|"warn"|"bad"|"dim"}}
 */
export function distance(row, stale) {
  const away = decimal.parseOrNull(row.liquidation_distance);
  if (!away) return { text: "", level: "" };
  const text = `${format.percent(away, 1, { plus: false })} away`;
  if (stale) return { text: `STALE ${text}`, level: "dim" };
  if (away.n <= 0n) return { text: "at or past it", level: "bad" };
  const level = decimal.compare(away, CLOSE) < 0 ? "bad" : decimal.compare(away, NEAR) < 0 ? "warn" : "";
  return { text, level };
}

/** Margin, and below it its currency, how it is held, and the leverage: "USDT · cross · 5×". */
export function marginText(row) {
  const known = row.margin !== null && row.margin !== undefined;
  const leverage = row.leverage ? `${format.plain(row.leverage)}×` : "";
  const sub = [known && row.settle, row.margin_mode, leverage].filter(Boolean).join(" · ");
  return { text: known ? format.plain(row.margin, 2) : format.NONE, sub };
}
