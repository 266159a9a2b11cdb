/** What the filters of the blotter mean to the API. Pure. */

import { day, parse } from "./zone-time.js";

export const EMPTY = Object.freeze({ account: "", symbol: "", side: "", kind: "", from: "", to: "", sort: "-time" });

const DAY_MS = 86_400_000;

/** Kinds of transfers that are chosen together: the API's words -> ours. */
export const KINDS = {
  "": "All kinds",
  "deposit,withdrawal": "Deposits, withdrawals",
  internal: "Internal",
  funding: "Funding",
  interest: "Interest",
  fee: "Fees",
  income: "Income",
  other: "Other",
};

/** Spans that a button chooses: name -> whole days that it reaches back, today included. */
export const SPANS = { Today: 1, "7 days": 7, "30 days": 30, "365 days": 365 };

/**
 * Filters as the user wrote them, times in the zone, turned into the API's query.
 * @returns {{query: object, problem: string}} the query without empty ones; a sentence where they make no sense
 */
export function queryOf(filters, zone) {
  const query = {};
  for (const name of ["account", "side", "kind", "sort"]) if (filters[name]) query[name] = filters[name];
  const symbol = (filters.symbol ?? "").trim().toUpperCase();
  if (symbol) query.symbol = symbol;
  for (const name of ["from", "to"]) {
    if (!filters[name]) continue;
    const ms = parse(filters[name], zone);
    if (ms === null) return { query, problem: `'${filters[name]}' is not a time.` };
    query[name] = ms;
  }
  if (query.from !== undefined && query.to !== undefined && query.from >= query.to)
    return { query, problem: "The time range ends before it begins." };
  return { query, problem: "" };
}

/** Is anything left out by these? */
export function filtered(filters) {
  return ["account", "symbol", "side", "kind", "from", "to"].some((name) => Boolean(filters[name]));
}

/** The beginning of a span that ends now, as a field of a local time holds it. */
export function spanStart(days, nowMs, zone) {
  // From noon, so that a day of 23 or 25 hours does not lead to its neighbour.
  const noon = parse(`${day(nowMs, zone)}T12:00`, zone);
  return `${day(noon - (days - 1) * DAY_MS, zone)}T00:00`;
}

/** Where all rows of a query are to be had as a table. */
export function csvHref(query) {
  const { limit: _limit, cursor: _cursor, ...kept } = query;
  const text = new URLSearchParams(kept).toString();
  return `/api/fills.csv${text ? `?${text}` : ""}`;
}
