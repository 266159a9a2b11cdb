/** The equity curve of /api/equity/: spans, holes, what is incomplete, what was paid in and out. Pure. */

import * as decimal from "./decimal.js";
import * as format from "./format.js";

const DAY_MS = 86_400_000;

/** Ranges that a button chooses: name -> how far they reach back in ms; null is everything. */
export const RANGES = { "1d": DAY_MS, "1w": 7 * DAY_MS, "1m": 30 * DAY_MS, all: null };

/** The query of a range that ends now. */
export function rangeQuery(range, nowMs, account) {
  const span = RANGES[range] ?? null;
  return { from: span === null ? 0 : Math.floor(nowMs - span), to: Math.ceil(nowMs), account: account || null };
}

/**
 * Points for drawing, oldest first: {at_ms, value, complete, reason, made, next}. `next` tells how the line goes on to
 * the following point: "line", "doubtful" (one of its ends is incomplete) or "none" (there is a hole). Before a hole
 * stands one that is made up, a grain later, so that a moment by itself is seen; `made` marks it.
 */
export function curve(points, grainMs) {
  const known = points.filter((point) => point.value !== null);
  const result = [];
  known.forEach((point, i) => {
    const following = known[i + 1];
    const hole = !following || following.at_ms - point.at_ms > grainMs * 1.5;
    const doubtful = !point.complete || (!hole && !following.complete);
    result.push({ ...point, made: false, next: doubtful ? "doubtful" : "line" });
    if (hole) result.push({ ...point, at_ms: point.at_ms + grainMs, made: true, next: "none" });
  });
  return result;
}

/** How many moments lack something. */
export function incomplete(points) {
  return points.filter((point) => !point.complete).length;
}

/**
 * Transfers by the point that they are drawn at: the last one not after them. What came before the first point is in
 * that already; those that failed moved nothing, and what is no transfer is earned or spent. What moved between wallets is
 * told only if its other side is in none that the curve is the sum of: it came or went like any other money.
 * @returns [{at_ms, kind: "deposit" | "withdrawal" | "several", rows}], oldest first
 */
export function marks(transfers, points) {
  const times = points.map((point) => point.at_ms);
  const found = new Map();
  for (const row of transfers) {
    if (row.status === "failed" || !["deposit", "withdrawal", "internal"].includes(row.kind)) continue;
    const at = times.findLast((time) => time <= row.exchange_ms);
    if (at === undefined) continue;
    if (!found.has(at)) found.set(at, []);
    found.get(at).push(row);
  }
  return [...found.entries()]
    .sort(([a], [b]) => a - b)
    .map(([at_ms, rows]) => {
      const kinds = new Set(rows.map((row) => (isGone(row) ? "withdrawal" : "deposit")));
      return { at_ms, rows, kind: kinds.size === 1 ? [...kinds][0] : "several" };
    });
}

function isGone(row) {
  return decimal.parse(row.amount).n < 0n;
}

/** "+2.4 BNB", "−750 USDT (pending)"; of several, how many they are. */
export function markText({ rows }) {
  if (rows.length > 1) return `${rows.length} transfers`;
  return transferText(rows[0]);
}

export function transferText(row) {
  const amount = format.fixed(decimal.normalize(decimal.parse(row.amount)), undefined, { plus: true });
  const wallet = row.kind !== "internal" ? "" : isGone(row) ? " to another wallet" : " from another wallet";
  return `${amount} ${row.asset}${wallet}${row.status === "pending" ? " (pending)" : ""}`;
}

/**
 * From the first to the last complete point, as {amount, ratio} of Decs; null without two of them, and null as the
 * ratio of nothing. Deposits and withdrawals are in it.
 */
export function moved(points) {
  const whole = points.filter((point) => point.complete && point.value !== null);
  if (whole.length < 2) return null;
  const first = decimal.parse(whole[0].value);
  const amount = decimal.subtract(decimal.parse(whole.at(-1).value), first);
  return { amount, ratio: first.n > 0n ? decimal.divide(amount, first, 6) : null };
}
