/** What the user chose on any device: time zone, currency, sound and the like, kept by the server (/api/settings/). */

const PATH = "/api/settings/";
const AGAIN_MS = 5000;

/** What holds until the server has answered; its own defaults. */
const DEFAULTS = {
  zone: "UTC",
  currency: "USDT",
  sound: false,
  notifications: false,
  title_profit: false,
  currencies: ["USD", "USDT", "USDC", "EUR", "BTC"],
};

/** Dispatches "change" whenever a value differs from what was held. */
export class Settings extends EventTarget {
  #get;
  #put;
  #values = DEFAULTS;
  #timer = null;
  #asked = 0;

  loaded = false;
  problem = "";

  /** @param get (path) and put (path, body): promises of the server's answer */
  constructor(get, put) {
    super();
    this.#get = get;
    this.#put = put;
  }

  start() {
    this.load();
  }

  get(name) {
    if (!(name in DEFAULTS)) throw new Error(`no such setting: ${name}`);
    return this.#values[name];
  }

  get zone() {
    return this.#values.zone;
  }

  get currency() {
    return this.#values.currency;
  }

  async load() {
    clearTimeout(this.#timer);
    try {
      this.#take(await this.#get(PATH));
    } catch (error) {
      this.problem = error.message;
      this.#timer = setTimeout(() => this.load(), AGAIN_MS);
    }
  }

  /** Change some; what is held changes when the server has taken them. Throws what the request threw. */
  async put(changes) {
    const asked = (this.#asked += 1);
    try {
      const answer = await this.#put(PATH, changes);
      if (asked === this.#asked) this.#take(answer); // else a later one tells more
    } catch (error) {
      if (asked > 1) this.load(); // the answer to the one before may have been passed over
      throw error;
    }
  }

  #take(answer) {
    const told = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, answer[name] ?? DEFAULTS[name]]));
    const changed = !this.loaded || JSON.stringify(told) !== JSON.stringify(this.#values);
    this.#values = told;
    this.loaded = true;
    this.problem = "";
    if (changed) this.dispatchEvent(new Event("change"));
  }
}
