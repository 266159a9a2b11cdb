/** One row for each exchange, from the `streams` frame: its connections, markets, clock and budget together. Pure. */

import { usable } from "./states.js";

/** Worst last. */
const ORDER = ["LIVE", "QUIET", "SLOW", "POLLED", "STALE", "RESYNC", "SYNCING", "CONNECTING", "DOWN"];

/**
 * @param {object} data of a `streams` frame; fields that an older worker does not send are taken as not known
 * @returns rows in the frame's order of exchanges
 */
export function board(data) {
  const names = new Set([...data.exchanges, ...data.connections, ...data.markets].map((row) => row.exchange));
  return [...names].map((exchange) => {
    const of = (list) => list.filter((row) => row.exchange === exchange);
    return row(exchange, of(data.exchanges)[0] ?? {}, of(data.connections), of(data.markets));
  });
}

function row(exchange, told, connections, markets) {
  const sum = (list, name) => list.reduce((total, one) => total + (one[name] ?? 0), 0);
  const live = markets.filter((market) => usable(market.state)).length;
  return {
    exchange,
    simulated: Boolean(told.simulated),
    via: told.via ?? "",
    state: stateOf(connections, markets),
    connections: connections.length,
    connected: connections.filter((one) => usable(one.state)).length,
    rate: sum(connections, "messages_per_s"),
    latency: slowest(connections),
    late: connections.filter((one) => one.late_since_ms > 0).length,
    offsetMs: told.clock_offset_ms ?? connections[0]?.clock_offset_ms ?? null,
    offsetErrorMs: told.clock_error_ms ?? null,
    markets: markets.length,
    live,
    resyncs: sum(markets, "resyncs"),
    reconnects: sum(connections, "reconnects"),
    renewed: told.renewed ?? null,
    dropped: sum(connections, "dropped"),
    budget: budget(told.budget),
    notices: noticesOf(told),
    reason: reasonOf(connections, markets),
  };
}

/** The connections' worst state; an exchange without any is as its markets are. */
function stateOf(connections, markets) {
  const states = (connections.length > 0 ? connections : markets).map((one) => one.state);
  if (states.length === 0) return "CONNECTING";
  return states.reduce((a, b) => (ORDER.indexOf(b) > ORDER.indexOf(a) ? b : a));
}

/** The latencies of the slowest connection, so that one bad stream does not hide behind good ones. */
function slowest(connections) {
  const known = connections.map((one) => one.latency_ms).filter((one) => one && Number.isFinite(one.p50));
  if (known.length === 0) return null;
  return known.reduce((a, b) => (b.p99 > a.p99 ? b : a));
}

/** The product whose REST budget is used most: its share (0 to 1 and beyond), null where there is none. */
function budget(products = {}) {
  let worst = null;
  for (const [product, one] of Object.entries(products)) {
    if (!(one.limit > 0)) continue;
    const share = one.used / one.limit;
    if (!worst || share > worst.share) worst = { product, share, ...one };
  }
  return worst;
}

/** What the exchange says of itself, as {text, fromMs, toMs}. */
function noticesOf({ notice = "", notices = [] }) {
  if (notices.length > 0)
    return notices.map((one) => ({ text: one.text, fromMs: one.begins_ms ?? null, toMs: one.ends_ms ?? null }));
  return notice ? [{ text: notice, fromMs: null, toMs: null }] : [];
}

function reasonOf(connections, markets) {
  const unwell = [...connections, ...markets].find((one) => !usable(one.state) && one.reason);
  return unwell?.reason ?? "";
}
