/**
 * One account's fills, whole: rows by number, each once, whatever order they come in. Pure.
 *
 * Frames may be lost, fills may not: a frame that begins after the last row held leaves a hole, and the hole is read
 * by REST (docs/protocol.md 2.5) before it is forgotten.
 */

const KEPT = 500;

export class FillsLog {
  older = false; // the server has rows before the oldest one here

  #rows = new Map();
  #sorted = null; // newest first, made when it is asked for
  #newest = null; // number of the newest row; 0 while there is none, null before the first merge

  /**
   * Rows that were new, oldest first; of one that is held the newer telling counts (its fee may come later). From the
   * first call on, even with no rows, later frames may leave holes.
   */
  merge(rows) {
    this.#newest ??= 0;
    const added = [];
    for (const row of rows) {
      const held = this.#rows.get(row.row);
      if (held) {
        if (!same(held, row) && (row.fee !== null || held.fee === null)) this.#keep(row);
        continue;
      }
      if (this.#full && row.row < this.#oldestKept()) continue;
      this.#keep(row);
      added.push(row);
    }
    if (added.length > 0) {
      added.sort((a, b) => a.row - b.row);
      this.#newest = Math.max(this.#newest, added.at(-1).row);
      this.#trim();
    }
    return added;
  }

  /** The `after` to ask REST for before this frame is merged; null if the frame joins what is held. */
  missingBefore(frame) {
    if (this.#newest === null || !frame.fills?.length) return null;
    const first = frame.first_row ?? Math.min(...frame.fills.map((fill) => fill.row));
    return first > this.#newest + 1 ? this.#newest : null;
  }

  get oldest() {
    return this.#rows.size > 0 ? this.#oldestKept() : null;
  }

  /** Are there older rows that could be kept? As the newest answer about the oldest rows told. */
  get mayHaveOlder() {
    return this.older && !this.#full;
  }

  get newest() {
    return this.#newest;
  }

  get size() {
    return this.#rows.size;
  }

  /** Newest first. */
  list() {
    this.#sorted ??= [...this.#rows.values()].sort((a, b) => b.row - a.row);
    return this.#sorted;
  }

  #keep(row) {
    this.#rows.set(row.row, row);
    this.#sorted = null;
  }

  get #full() {
    return this.#rows.size >= KEPT;
  }

  #oldestKept() {
    return Math.min(...this.#rows.keys());
  }

  #trim() {
    if (this.#rows.size <= KEPT) return;
    const numbers = [...this.#rows.keys()].sort((a, b) => a - b);
    for (const number of numbers.slice(0, numbers.length - KEPT)) this.#rows.delete(number);
    this.#sorted = null;
  }
}

/** But for its age, which is another in every frame. */
function same(held, row) {
  return Object.keys(row).every((name) => name === "age_ms" || held[name] === row[name]);
}
