/**
 * The connections of the stream panel, by exchange. A few are listed one by one; of many, an exchange with more than
 * one connection is one row that can be opened, and what is not well below it is listed all the same.
 */

import { usable } from "./states.js";

/** Up to so many connections are listed as they are. */
export const LISTED = 8;

/** Is there something about this connection that a person should see? */
export function remarkable(row) {
  return !usable(row.state) || row.late_since_ms > 0 || Boolean(row.announced);
}

/**
 * @param rows connections as in the `streams` frame
 * @param open names of the exchanges whose connections are all listed
 * @returns rows to show: connections, those below a group with `child`, and groups with `group`: their connections
 */
export function grouped(rows, open) {
  if (rows.length <= LISTED) return rows;
  const exchanges = new Map();
  for (const row of rows) exchanges.set(row.exchange, [...(exchanges.get(row.exchange) ?? []), row]);
  return [...exchanges.values()].flatMap((own) => {
    if (own.length === 1) return own;
    const listed = open.has(own[0].exchange) ? own : own.filter(remarkable);
    return [summary(own), ...listed.map((row) => ({ ...row, child: true }))];
  });
}

/** One row for all connections of an exchange: the state of the worst, sums of what is counted, the slowest times. */
function summary(own) {
  const worst = own.find((row) => row.state === "DOWN") ?? own.find((row) => !usable(row.state)) ?? own[0];
  const sum = (name) => own.reduce((total, row) => total + (row[name] ?? 0), 0);
  return {
    exchange: own[0].exchange,
    group: own,
    state: worst.state,
    reason: "",
    panelOld: worst.panelOld,
    latency_ms: slowest(own.map((row) => row.latency_ms)),
    overhead_ms: own[0].overhead_ms,
    ...Object.fromEntries(
      ["subscriptions", "messages_per_s", "messages", "dropped", "reconnects", "not_understood"].map((name) => [
        name,
        sum(name),
      ]),
    ),
  };
}

function slowest(latencies) {
  const known = latencies.filter(Boolean);
  if (known.length === 0) return null;
  return { p50: Math.max(...known.map(({ p50 }) => p50)), p99: Math.max(...known.map(({ p99 }) => p99)) };
}
