/** What the matrix, the two books and the list of events agree on: symbol, size, kind of fees, pair. */

import { finestTick, legKey } from "./across-model.js";
import * as decimal from "./decimal.js";
import { placesOf } from "./format.js";
import { matrixTopic, readSize, stepSize, usualSize } from "./matrix-model.js";

const MOST_SYMBOLS = 1000;

export class AcrossChoice extends EventTarget {
  #app;
  #settled = new Map(); // symbol -> pair
  #usual = new Map(); // symbol -> the size it began with, so that it does not move with the price

  constructor(app) {
    super();
    this.#app = app;
  }

  start() {
    const changed = () => this.dispatchEvent(new Event("change"));
    this.#app.selection.addEventListener("change", changed);
    for (const name of ["sizes", "fees", "pair"]) this.#app.prefs.onChange(name, changed);
  }

  get symbol() {
    return this.#app.selection.symbol;
  }

  get fees() {
    return this.#app.prefs.get("fees") === "maker" ? "maker" : "taker";
  }

  setFees(fees) {
    if (fees !== this.fees) this.#app.prefs.set("fees", fees);
  }

  /** Canonical decimal text in base currency; null while there is no price to choose one by. */
  get size() {
    const { symbol } = this;
    const chosen = readSize(String(this.#app.prefs.get("sizes")[symbol] ?? ""));
    return chosen ?? this.#usual.get(symbol) ?? this.#first(symbol);
  }

  setSize(size) {
    if (size !== null && size !== this.size) this.#app.prefs.remember("sizes", this.symbol, size);
  }

  /** The next larger (1) or smaller (-1) round size. */
  step(by) {
    if (this.size) this.setSize(readSize(stepSize(this.size, by)));
  }

  /** Decimal places of average prices: two more than the finest tick has, undefined while that is not known. */
  get places() {
    const tick = finestTick(this.#app.instruments.list, this.symbol);
    return tick ? placesOf(tick) + 2 : undefined;
  }

  /** Leg keys [buy, sell], null until a pair was chosen. */
  get pair() {
    const pair = this.#app.prefs.get("pair");
    return Array.isArray(pair) && pair.length === 2 ? pair : null;
  }

  /** Numbers of the pair to show of these legs: the chosen one or, where that is not among them, the settled one. */
  among(legs) {
    const keys = legs.map(legKey);
    for (const pair of [this.pair, this.#settled.get(this.symbol)]) {
      const found = pair?.map((key) => keys.indexOf(key)) ?? [-1];
      if (!found.includes(-1) && found[0] !== found[1]) return found;
    }
    return null;
  }

  /** Without a choice that is here, a pair is settled once and stays. */
  settle(buy, sell) {
    if (this.#settled.size < MOST_SYMBOLS) this.#settled.set(this.symbol, [buy, sell]);
  }

  setPair(buy, sell) {
    this.#app.prefs.set("pair", [buy, sell]);
  }

  /** The matrix' topic, null while there is no size. */
  get topic() {
    return this.symbol && this.size ? matrixTopic(this.symbol, this.size, this.fees) : null;
  }

  #first(symbol) {
    const { instruments, store, selection } = this.#app;
    const markets = instruments.list.filter((market) => market.symbol === symbol);
    const price = decimal.parseOrNull(store.data(`quote:${selection.key}`)?.last);
    if (markets.length === 0 || !price || price.n <= 0n || this.#usual.size > MOST_SYMBOLS) return null;
    this.#usual.set(symbol, usualSize(markets, price));
    return this.#usual.get(symbol);
  }
}
