/** The states of docs/protocol.md section 2.6: which are usable, and what to say. */

const USABLE = new Set(["LIVE", "QUIET", "SLOW", "POLLED"]);

const MEANING = {
  CONNECTING: "No connection to the exchange yet",
  SYNCING: "Connected; the book is not complete yet",
  LIVE: "Equal to the exchange's",
  QUIET: "Nothing new, confirmed by the exchange",
  SLOW: "Right, but late: frames wait in the worker's buffer",
  STALE: "Old: not confirmed to be current",
  RESYNC: "Found wrong or incomplete; being rebuilt",
  POLLED: "By REST, because the stream keeps failing",
  DOWN: "Refused or unreachable",
};

/** May this be used for spreads, marks and totals? */
export function usable(state) {
  return USABLE.has(state);
}

/** Are there no data to show at all in this state (as against old ones)? */
export function empty(state) {
  return !usable(state) && state !== "STALE";
}

export function meaning(state) {
  return MEANING[state] ?? "Unknown state";
}

/** Of two reports on one market the one to be shown: whichever says that it is not usable. */
export function worse(a, b) {
  if (!a) return b;
  if (!b) return a;
  return usable(a.state) && !usable(b.state) ? b : a;
}
