/** Rows of notices from frames and from the API together. Pure. */

import * as format from "./format.js";

const KINDS = {
  missed_fill: "Fill that no stream told",
  unexplained_balance: "Balance that nothing explains",
  foreign_order: "Order that is not ours",
  lost_order: "Order that was lost sight of",
};

export function kindName(kind) {
  return KINDS[kind] ?? kind.replaceAll("_", " ");
}

/**
 * Each row once: open ones first, then what was resolved last. Frames are newer than what was read.
 * @param lists rows of each account's frame  @param older row number -> row
 */
export function merged(lists, older = new Map()) {
  const rows = new Map(older);
  for (const row of lists.flat()) rows.set(row.row, row);
  return [...rows.values()].sort((a, b) => Number(b.open) - Number(a.open) || last(b) - last(a) || b.row - a.row);
}

export function openCount(rows) {
  return rows.filter((row) => row.open).length;
}

/** "for 3 m 12 s" of an open one, "after 40 s" of one that was resolved. */
export function sinceText(row, nowMs) {
  return row.open
    ? `for ${format.age(nowMs - row.opened_ms)}`
    : `after ${format.age(Math.max(1000, row.resolved_ms - row.opened_ms))}`;
}

function last(row) {
  return row.open ? row.opened_ms : row.resolved_ms;
}
