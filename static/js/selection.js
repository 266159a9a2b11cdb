/** The market that the page is about, kept in the address (#binance:BTC/USDT) and in the preferences. */

import { keyOf, splitKey } from "./instruments.js";

const SHAPE = /^[a-z0-9_-]+:\S{1,100}$/;

export class Selection extends EventTarget {
  #prefs;
  #instruments;
  #key = null;

  constructor(prefs, instruments) {
    super();
    this.#prefs = prefs;
    this.#instruments = instruments;
  }

  start() {
    const fromAddress = () => decodeURIComponent(location.hash.slice(1));
    addEventListener("hashchange", () => this.select(fromAddress()));
    this.#instruments.addEventListener("change", () => this.#settle());
    const asked = fromAddress();
    this.select(SHAPE.test(asked) ? asked : this.#prefs.get("market"));
    this.#settle();
  }

  get key() {
    return this.#key;
  }

  get exchange() {
    return this.#key ? splitKey(this.#key)[0] : null;
  }

  get symbol() {
    return this.#key ? splitKey(this.#key)[1] : null;
  }

  /** The instrument, undefined while not known. */
  get market() {
    return this.#key ? this.#instruments.get(this.#key) : undefined;
  }

  select(key) {
    if (!key || !SHAPE.test(key) || key === this.#key) return;
    this.#key = key;
    this.#prefs.set("market", key);
    const address = `#${encodeURI(key)}`;
    if (location.hash !== address) history.replaceState(null, "", address);
    this.dispatchEvent(new Event("change"));
  }

  /** Without a market, or with one that does not exist (any more), take the first one. */
  #settle() {
    const { first } = this.#instruments;
    if (first && !(this.#key && this.market)) this.select(keyOf(first.exchange, first.symbol));
  }
}
