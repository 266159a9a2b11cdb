/** A list that the server gives in pages, each beginning where the one before ended (a cursor). Pure; holds one page. */

export class Pages {
  #read;
  #changed;
  #query = null;
  #cursors = [null]; // where each page up to the one shown begins
  #asked = 0;
  #again = false;

  rows = [];
  next = null;
  loading = false;
  turning = false; // loading something else than what is shown
  loaded = false;
  problem = "";

  /**
   * @param read (query) -> promise of {rows, next}; the query has `cursor`, null for the first page
   * @param changed called whenever what is held has changed
   */
  constructor(read, changed) {
    this.#read = read;
    this.#changed = changed;
  }

  /** 1 for the first page. */
  get number() {
    return this.#cursors.length;
  }

  get first() {
    return this.#cursors.length === 1;
  }

  /** Begin anew, with another query. What is held stays until the answer comes, marked as loading. */
  open(query) {
    this.#query = query;
    return this.#load([null]);
  }

  /** The same page once more: there may be news. */
  refresh() {
    this.#again = this.turning; // what is turned to now may be of before the news
    return this.#query === null || this.turning ? undefined : this.#load(this.#cursors);
  }

  further() {
    if (this.next !== null && !this.turning) return this.#load([...this.#cursors, this.next]);
  }

  back() {
    if (!this.first && !this.turning) return this.#load(this.#cursors.slice(0, -1));
  }

  async #load(cursors) {
    const asked = (this.#asked += 1);
    this.loading = true;
    this.turning = cursors !== this.#cursors || !this.loaded;
    this.#changed();
    try {
      const { rows, next } = await this.#read({ ...this.#query, cursor: cursors.at(-1) });
      if (asked !== this.#asked) return; // something else was asked for since
      this.#cursors = cursors;
      this.rows = rows;
      this.next = next ?? null;
      this.loaded = true;
      this.problem = "";
    } catch (error) {
      if (asked !== this.#asked) return;
      this.problem = error.message;
    }
    this.loading = this.turning = false;
    this.#changed();
    if (this.#again) return this.refresh();
  }
}
