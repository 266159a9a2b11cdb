/** The markets that there are, from /api/markets/. Asked for again while the worker has not told any. */

import * as exchanges from "./exchanges.js";

const AGAIN_MS = 3000;
const REFRESH_MS = 10 * 60_000;

export const keyOf = (exchange, symbol) => `${exchange}:${symbol}`;

/** "kraken:BTC/USD" -> ["kraken", "BTC/USD"] */
export function splitKey(key) {
  const at = key.indexOf(":");
  return [key.slice(0, at), key.slice(at + 1)];
}

/** "okx" -> "OKX" */
export const exchangeName = exchanges.exchangeName;

export class Instruments extends EventTarget {
  #get;
  #markets = [];
  #first = null; // key
  #byKey = new Map();
  #timer = null;
  #started = false;

  problem = "";

  /** @param get a function like api.get */
  constructor(get) {
    super();
    this.#get = get;
  }

  start() {
    if (this.#started) return;
    this.#started = true;
    this.load();
  }

  stop() {
    this.#started = false;
    clearTimeout(this.#timer);
  }

  get list() {
    return this.#markets;
  }

  /** The row of /api/markets/, or undefined while not known. */
  get(key) {
    return this.#byKey.get(key);
  }

  get pinned() {
    return this.#markets.filter((market) => market.pinned);
  }

  /** What to show to whoever has chosen nothing: the first that the configuration pins. Undefined while none is known. */
  get first() {
    return this.#byKey.get(this.#first) ?? this.pinned[0] ?? this.#markets[0];
  }

  async load() {
    clearTimeout(this.#timer);
    let next = AGAIN_MS;
    try {
      const { markets, first } = await this.#get("/api/markets/");
      this.problem = "";
      if (markets.length > 0) {
        this.#markets = markets;
        this.#first = first ?? null;
        this.#byKey = new Map(markets.map((market) => [keyOf(market.exchange, market.symbol), market]));
        next = REFRESH_MS;
      }
    } catch (error) {
      this.problem = error.message;
      if (error.status === 401) return this.dispatchEvent(new Event("signedout"));
    }
    if (this.#started) this.#timer = setTimeout(() => this.load(), next);
    return this.dispatchEvent(new Event("change"));
  }
}
