/** Own fills in the market of the page: history by REST, then what frames bring. */

import * as api from "./api.js";
import { AccountTopics } from "./account-feed.js";

const HISTORY = 500;
const KEPT = 2000;
const AGAIN_MS = 5000;

export class FillFollower {
  #app;
  #changed;
  #topics;
  #rows = new Map(); // "account row" -> fill of the market
  #newest = new Map(); // account -> number of the newest row known
  #version = 0;
  #timer = null;
  #key = null;

  /** @param changed called when the rows did */
  constructor(app, changed) {
    this.#app = app;
    this.#changed = changed;
    this.#topics = new AccountTopics(app, "fills", (id, frame) => this.#came(id, frame));
  }

  start() {
    this.#app.selection.addEventListener("change", () => this.#open());
    this.#app.accounts.addEventListener("change", () => this.#open(true));
    this.#topics.start();
    this.#open();
  }

  /** Rises with every change of `rows`. */
  get version() {
    return this.#version;
  }

  get rows() {
    return [...this.#rows.values()];
  }

  #open(again = false) {
    const { key } = this.#app.selection;
    if (key === this.#key && !again) return;
    this.#key = key;
    this.#rows.clear();
    this.#grown();
    this.#read();
  }

  async #read() {
    clearTimeout(this.#timer);
    const { key, exchange, symbol } = this.#app.selection;
    const accounts = this.#app.accounts.list.filter((account) => account.exchange === exchange);
    try {
      for (const { id } of accounts) {
        const { fills } = await api.get("/api/fills/", { account: id, symbol, limit: HISTORY });
        if (key !== this.#key) return;
        this.#take(id, fills);
      }
    } catch {
      // Marks are missing meanwhile; the table of fills says what is wrong.
      if (key === this.#key) this.#timer = setTimeout(() => this.#read(), AGAIN_MS);
    }
  }

  #came(id, frame) {
    if (!frame?.data.fills?.length) return;
    const { exchange } = this.#app.selection;
    const { first_row: first, last_row: last, fills } = frame.data;
    const newest = this.#newest.get(id);
    this.#newest.set(id, Math.max(newest ?? 0, last ?? 0));
    if (this.#app.accounts.byId(id)?.exchange !== exchange) return;
    this.#take(id, fills);
    if (newest !== undefined && first > newest + 1) this.#read(); // frames were lost, fills may not be
  }

  #take(id, fills) {
    const { symbol } = this.#app.selection;
    const before = this.#rows.size;
    for (const fill of fills) if (fill.symbol === symbol) this.#rows.set(`${id} ${fill.row}`, fill);
    while (this.#rows.size > KEPT) this.#rows.delete(this.#rows.keys().next().value);
    if (this.#rows.size !== before) this.#grown();
  }

  #grown() {
    this.#version += 1;
    this.#changed();
  }
}
