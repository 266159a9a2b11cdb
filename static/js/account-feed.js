/** The user's accounts, and the frames of one kind of all of them together. */

import { el, setText } from "./dom.js";
import { usable } from "./states.js";

const AGAIN_MS = 5000;
const REFRESH_MS = 30_000;

/** The list of accounts, from /api/accounts/; read again now and then, since another tab may add or remove one. */
export class Accounts extends EventTarget {
  #get;
  #list = [];
  #timer = null;
  #loaded = false;

  problem = "";

  /** @param get a function like api.get */
  constructor(get) {
    super();
    this.#get = get;
  }

  start() {
    this.load();
  }

  get list() {
    return this.#list;
  }

  get loaded() {
    return this.#loaded;
  }

  byId(id) {
    return this.#list.find((account) => account.id === id);
  }

  async load() {
    clearTimeout(this.#timer);
    try {
      const { accounts } = await this.#get("/api/accounts/");
      const known = signature(this.#list);
      this.#list = accounts;
      this.problem = "";
      const changed = !this.#loaded || known !== signature(accounts);
      this.#loaded = true;
      if (changed) this.dispatchEvent(new Event("change"));
    } catch (error) {
      this.problem = error.message;
    }
    this.#timer = setTimeout(() => this.load(), this.problem ? AGAIN_MS : REFRESH_MS);
  }
}

/** What the page's parts depend on: which accounts there are, and what the user may do with them. */
function signature(accounts) {
  return accounts.map(({ id, label, role, trading }) => [id, label, role, Boolean(trading)].join()).join(";");
}

/** Watches `<kind>:<account>` of every account. */
export class AccountTopics {
  #app;
  #kind;
  #changed;
  #stops = new Map(); // account id -> function

  /** @param changed (account id, frame or null) */
  constructor(app, kind, changed) {
    this.#app = app;
    this.#kind = kind;
    this.#changed = changed;
  }

  start() {
    this.#app.accounts.addEventListener("change", () => this.#follow());
    this.#follow();
  }

  /** What is known of every account: {account, topic, data, status, sinceMs}, in the order of the list. */
  all() {
    const { accounts, store } = this.#app;
    return accounts.list.map((account) => {
      const topic = `${this.#kind}:${account.id}`;
      const data = store.data(topic);
      return { account, topic, data, status: this.#status(topic, data), sinceMs: store.sinceArrival(topic) };
    });
  }

  /** The connection's word and, where that is good, the account's own: how well the worker follows it. */
  #status(topic, data) {
    const status = this.#app.store.status(topic, this.#app.serverUs());
    const own = data?.account;
    if (!own?.state || !status.usable) return status;
    return { ...status, state: own.state, reason: own.sentence || "", usable: usable(own.state) };
  }

  #follow() {
    const ids = new Set(this.#app.accounts.list.map((account) => account.id));
    for (const [id, stop] of this.#stops) {
      if (ids.has(id)) continue;
      stop();
      this.#stops.delete(id);
    }
    for (const id of ids) {
      if (!this.#stops.has(id))
        this.#stops.set(
          id,
          this.#app.store.watch(`${this.#kind}:${id}`, (frame) => this.#changed(id, frame)),
        );
    }
    this.#changed(null, null);
  }
}

/** The line above a sheet that names accounts whose rows may be old or missing. */
export class Troubles {
  element = el("p", { class: "sheet-trouble", role: "note", hidden: true, text: "" });

  /** @param topics AccountTopics.all() */
  show(topics) {
    const bad = topics.filter(({ status }) => !status.usable);
    this.element.hidden = bad.length === 0;
    setText(this.element, bad.map(({ account, status }) => `${account.label} ${describe(status)}`).join(" · "));
  }
}

function describe({ state, reason }) {
  return `${state}${reason ? `: ${reason}` : ""}`;
}

/** What an empty sheet says: why there is nothing, or that there is nothing. */
export function emptyNote(app, topics, nothing) {
  if (app.accounts.problem) return app.accounts.problem;
  if (!app.accounts.loaded) return "Reading the accounts";
  if (app.accounts.list.length === 0)
    return "No exchange account yet. Add one under Exchange accounts in the menu at the top right.";
  const waiting = topics.find(({ data }) => data === null);
  if (waiting) return `${waiting.account.label} ${describe(waiting.status)}`;
  return nothing;
}
