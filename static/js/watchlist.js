/** The list of markets: one row each, grouped by exchange; a click selects. Rows are made once and patched. */

import { sentence, viaTag } from "./badge.js";
import * as decimal from "./decimal.js";
import { el, setAttribute, setText, toggleClass } from "./dom.js";
import * as format from "./format.js";
import { exchangeName, keyOf, splitKey } from "./instruments.js";
import { ticksOf } from "./ladder-model.js";
import { midOfQuote } from "./valuation.js";

const MOST = 60;

export class Watchlist {
  #app;
  #body;
  #filter;
  #rows = new Map(); // key -> row
  #groups = new Map(); // exchange -> {element, list}

  constructor(app, body, filter) {
    this.#app = app;
    this.#body = body;
    this.#filter = filter;
  }

  start() {
    this.#filter.addEventListener("input", () => this.#applyFilter());
    this.#filter.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#filter.value === "") return;
      this.#filter.value = "";
      this.#applyFilter();
    });
    this.#body.addEventListener("click", (event) => {
      const row = event.target.closest(".watch-row");
      if (!row) return;
      if (event.target.closest(".watch-remove")) this.remove(row.dataset.key);
      else this.#app.selection.select(row.dataset.key);
    });
    this.#app.instruments.addEventListener("change", () => this.#build());
    this.#app.selection.addEventListener("change", () => this.#selected());
    this.#app.prefs.onChange("added", () => this.#build());
    this.#app.prefs.onChange("hidden", () => this.#build());
    this.#app.scheduler.ageing(this);
    this.#build();
  }

  /** Keys in the order of the list: the pinned markets, then those that the trader added. */
  get keys() {
    const hidden = new Set(this.#app.prefs.get("hidden"));
    const pinned = this.#app.instruments.pinned.map((market) => keyOf(market.exchange, market.symbol));
    return [...new Set([...pinned.filter((key) => !hidden.has(key)), ...this.#app.prefs.get("added")])].slice(0, MOST);
  }

  add(key) {
    if (this.keys.includes(key)) return;
    const { prefs } = this.#app;
    prefs.set(
      "hidden",
      prefs.get("hidden").filter((other) => other !== key),
    );
    if (!this.keys.includes(key)) prefs.set("added", [...prefs.get("added"), key].slice(-MOST));
  }

  remove(key) {
    const { prefs, instruments } = this.#app;
    prefs.set(
      "added",
      prefs.get("added").filter((other) => other !== key),
    );
    if (instruments.get(key)?.pinned) prefs.set("hidden", [...prefs.get("hidden"), key]);
  }

  /** Select the next (1) or previous (-1) row that is shown. */
  step(by) {
    const shown = [...this.#body.querySelectorAll(".watch-row:not([hidden])")];
    const at = shown.findIndex((row) => row.dataset.key === this.#app.selection.key);
    const next = shown[(at + by + shown.length) % shown.length];
    if (!next) return;
    this.#app.selection.select(next.dataset.key);
    next.scrollIntoView({ block: "nearest" });
  }

  draw() {
    const serverUs = this.#app.serverUs();
    for (const row of this.#rows.values()) row.draw(serverUs);
    setText(
      this.#body.lastElementChild,
      this.#rows.size > 0 ? "" : this.#app.instruments.problem || "Waiting for the list of markets",
    );
  }

  #build() {
    const keys = this.keys;
    for (const [key, row] of this.#rows) {
      if (keys.includes(key)) continue;
      row.stop();
      this.#rows.delete(key);
    }
    for (const key of keys)
      if (!this.#rows.has(key))
        this.#rows.set(key, new Row(this.#app, key, () => this.#app.scheduler.invalidate(this)));
    this.#group(keys);
    this.#selected();
    this.#applyFilter();
    this.#app.scheduler.invalidate(this);
  }

  #group(keys) {
    const exchanges = [...new Set(keys.map((key) => splitKey(key)[0]))];
    for (const exchange of exchanges) {
      if (!this.#groups.has(exchange)) this.#groups.set(exchange, group(exchange));
      const { element, list } = this.#groups.get(exchange);
      list.replaceChildren(
        ...keys.filter((key) => splitKey(key)[0] === exchange).map((key) => this.#rows.get(key).element),
      );
      toggleClass(element, "simulated", this.#app.store.isSimulated(exchange));
    }
    const note = el("p", { class: "note", text: "" });
    this.#body.replaceChildren(...exchanges.map((exchange) => this.#groups.get(exchange).element), note);
  }

  #selected() {
    for (const [key, row] of this.#rows) {
      const on = key === this.#app.selection.key;
      toggleClass(row.element, "selected", on);
      setAttribute(row.button, "aria-current", on ? "true" : null);
    }
  }

  #applyFilter() {
    const words = this.#filter.value.trim().toLowerCase().split(/\s+/);
    for (const [key, row] of this.#rows) row.element.hidden = !words.every((word) => key.toLowerCase().includes(word));
    for (const { element } of this.#groups.values())
      element.hidden = !element.querySelector(".watch-row:not([hidden])");
  }
}

function group(exchange) {
  const list = el("ul", { class: "watch-list" });
  return { list, element: el("div", { class: "watch-group" }, el("h3", { text: exchangeName(exchange) }), list) };
}

class Row {
  #app;
  #key;
  #topic;
  #stopWatching;
  #last = null;
  #direction = "flat";
  #light = el("i", { class: "light", "aria-hidden": "true" });
  #state = el("span", { class: "watch-state", text: "" });
  #spread = el("span", { class: "watch-spread num", text: "" });
  #price = el("span", { class: "watch-price num", text: "" });
  #change = el("span", { class: "watch-change num", text: "" });
  #sim = el("span", { class: "tag tag-sim", text: "SIM", title: "Simulated: no real market", hidden: true });
  #via = viaTag();

  constructor(app, key, changed) {
    const [exchange, symbol] = splitKey(key);
    this.#app = app;
    this.#key = key;
    this.#topic = `quote:${key}`;
    const [pair, settle] = symbol.split(":");
    const name = el("span", { class: "watch-name" }, this.#light, el("span", { class: "watch-symbol", text: pair }));
    if (settle) name.append(el("span", { class: "tag", text: "PERP", title: `Perpetual, settled in ${settle}` }));
    name.append(this.#via, this.#sim);
    this.button = el(
      "button",
      {
        class: "watch-button",
        type: "button",
        "aria-label": `${pair}${settle ? " perpetual" : ""}, ${exchangeName(exchange)}`,
      },
      name,
      this.#price,
      el("span", { class: "watch-second" }, this.#state, this.#spread),
      this.#change,
    );
    const remove = el("button", {
      class: "watch-remove",
      type: "button",
      "aria-label": `Take ${pair} off the list`,
      title: "Take off the list",
      text: "×",
    });
    this.element = el("li", { class: "watch-row", "data-key": key }, this.button, remove);
    this.#stopWatching = app.store.watch(this.#topic, changed);
  }

  stop() {
    this.#stopWatching();
    this.element.remove();
  }

  draw(serverUs) {
    const status = this.#app.store.status(this.#topic, serverUs);
    const data = this.#app.store.data(this.#topic);
    const market = this.#app.instruments.get(this.#key);
    this.#sim.hidden = !(market?.simulated || this.#app.store.isSimulated(splitKey(this.#key)[0]));
    this.#via.hidden = market?.via !== "ccxt";
    setAttribute(this.button, "data-state", status.state);
    setAttribute(this.#light.parentElement, "data-state", status.state);
    setAttribute(this.button, "title", sentence(status));
    toggleClass(this.element, "stale", !status.usable);
    setText(
      this.#state,
      status.usable
        ? format.age(status.ageMs)
        : `${status.state}${status.ageMs === null ? "" : ` ${format.age(status.ageMs)}`}`,
    );
    const shown = status.empty ? null : data;
    this.#drawPrice(shown, market);
    setText(this.#spread, status.usable ? spreadText(shown, market) : "");
    this.#drawChange(shown);
  }

  #drawPrice(data, market) {
    const last = decimal.parseOrNull(data?.last ?? null);
    if (last && this.#last) {
      const order = decimal.compare(last, this.#last);
      if (order !== 0) this.#direction = order > 0 ? "up" : "down";
    }
    if (last) this.#last = last;
    const colour = this.#direction === "up" ? "buy" : this.#direction === "down" ? "sell" : "";
    setText(this.#price, last ? format.price(last, market ? format.placesOf(market.tick) : undefined) : format.NONE);
    setAttribute(this.#price, "class", `watch-price num ${last ? `${colour} ${this.#direction}` : "dim"}`);
  }

  #drawChange(data) {
    const change = decimal.parseOrNull(data?.change ?? null);
    setText(this.#change, change ? format.percent(change) : "");
    setAttribute(
      this.#change,
      "class",
      `watch-change num ${!change || change.n === 0n ? "dim" : change.n > 0n ? "buy" : "sell"}`,
    );
  }
}

/** "1 tick · 0.16 bps"; nothing if a side is missing or the quote is crossed. */
function spreadText(data, market) {
  if (!data?.bid || !data.ask) return "";
  const bid = decimal.parse(data.bid);
  const ask = decimal.parse(data.ask);
  const spread = decimal.subtract(ask, bid);
  if (spread.n <= 0n) return "";
  const ticks = ticksOf(spread, market?.tick);
  const bps = format.basisPoints(spread, midOfQuote(data));
  return `${ticks} ${ticks === "1" ? "tick" : "ticks"} · ${format.bpsText(bps)}`;
}
