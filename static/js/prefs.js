/** What the trader set, kept in this browser. A browser without storage keeps it until the page is left. */

const KEY = "spreadboard";
const MOST_REMEMBERED = 200;

const DEFAULTS = {
  theme: "dark", // "dark", "light" or "system"; boot.js reads it too
  colours: "green-red", // "green-red", "red-green" or "blue-orange"; boot.js reads it too
  unit: "base",
  interval: "1m",
  market: null, // "exchange:symbol"
  view: "trade", // "trade", "across" or "portfolio"
  tab: "positions",
  acrossTab: "arbitrage",
  portfolioTab: "overview",
  equityRange: "1d", // of the equity curve: "1d", "1w", "1m" or "all"
  phoneTab: "book",
  book: { trade: "one", across: "all" }, // by view: the selected exchange's order book, or that of all
  steps: {}, // "exchange:symbol" -> grouping step, "across:symbol" -> that of all exchanges
  off: [], // exchanges (leg keys) that are left out of the consolidated book
  sizes: {}, // symbol -> size of the spread matrix
  fees: "taker", // what the matrix charges: "taker" or "maker"
  pair: null, // [leg key to buy on, leg key to sell on]
  ticket: null, // is the order ticket open? null: where there is room
  tradeAccounts: {}, // exchange -> account of the order ticket
  collapsed: [], // exchanges whose markets are folded away in the list
  added: [], // ["exchange:symbol"]: in the list of markets besides the pinned ones
  hidden: [], // ["exchange:symbol"]: pinned, but taken off the list
};

export class Prefs {
  #storage;
  #values;
  #listeners = new Map();

  constructor(storage) {
    this.#storage = storage;
    this.#values = { ...DEFAULTS, ...this.#load() };
  }

  get(name) {
    if (!(name in DEFAULTS)) throw new Error(`no such preference: ${name}`);
    return this.#values[name];
  }

  set(name, value) {
    if (!(name in DEFAULTS)) throw new Error(`no such preference: ${name}`);
    this.#values[name] = value;
    this.#save(name, value);
    for (const listener of this.#listeners.get(name) ?? []) listener(value);
  }

  onChange(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.#listeners.get(name).delete(listener);
  }

  step(market) {
    return this.#values.steps[market] ?? null;
  }

  setStep(market, step) {
    this.remember("steps", market, step);
  }

  /** One more value of a preference that is kept by market or symbol; the oldest go when there are too many. */
  remember(name, key, value) {
    const { [key]: _, ...others } = { ...this.get(name), ...this.#load()[name] };
    const kept = Object.entries(others).slice(-(MOST_REMEMBERED - 1));
    this.set(name, Object.fromEntries([...kept, [key, value]]));
  }

  #load() {
    try {
      const stored = JSON.parse(this.#storage?.getItem(KEY) ?? "{}");
      return Object.fromEntries(Object.entries(stored).filter(([name]) => name in DEFAULTS));
    } catch {
      return {}; // not ours or damaged: the defaults are always right
    }
  }

  /** Only what changed: another tab of this browser may have kept other things since. */
  #save(name, value) {
    try {
      this.#storage?.setItem(KEY, JSON.stringify({ ...this.#load(), [name]: value }));
    } catch {
      // Full or forbidden: this visit keeps it, the next starts from what was kept before.
    }
  }
}

/** localStorage, or null where the browser forbids it. */
export function browserStorage() {
  try {
    return globalThis.localStorage;
  } catch {
    return null;
  }
}
