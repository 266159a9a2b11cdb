/**
 * The list of markets: one row each, grouped by exchange; a click selects. A group can be folded: its markets are not
 * watched then, but for the selected one. Rows are made once and patched.
 */

import { el, setAttribute, setText, toggleClass } from "./dom.js";
import { exchangeColour } from "./exchanges.js";
import { exchangeName, keyOf, splitKey } from "./instruments.js";
import { usable } from "./states.js";
import { WatchRow } from "./watch-row.js";

const MOST = 120; // of the 200 topics that a browser may watch

export class Watchlist {
  #app;
  #body;
  #filter;
  #rows = new Map(); // key -> row
  #groups = new Map(); // exchange -> {element, list, fold, count}
  #note = el("p", { class: "note", text: "" });

  constructor(app, body, filter) {
    this.#app = app;
    this.#body = body;
    this.#filter = filter;
  }

  start() {
    this.#filter.addEventListener("input", () => this.#build());
    this.#filter.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.#filter.value === "") return;
      this.#filter.value = "";
      this.#build();
    });
    this.#body.addEventListener("click", (event) => {
      const fold = event.target.closest(".watch-fold");
      if (fold) return this.fold(fold.dataset.exchange);
      const row = event.target.closest(".watch-row");
      if (!row) return;
      if (event.target.closest(".watch-remove")) return this.remove(row.dataset.key);
      return this.#app.selection.select(row.dataset.key);
    });
    this.#app.instruments.addEventListener("change", () => this.#build());
    this.#app.selection.addEventListener("change", () => this.#build());
    this.#app.prefs.onChange("collapsed", () => this.#build());
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

  /** Fold an exchange's markets away, or unfold them. */
  fold(exchange) {
    const collapsed = new Set(this.#app.prefs.get("collapsed"));
    if (!collapsed.delete(exchange)) collapsed.add(exchange);
    this.#app.prefs.set("collapsed", [...collapsed]);
  }

  /** Fold all exchanges but the selected one, or unfold all. */
  foldAll() {
    const exchanges = [...new Set(this.keys.map((key) => splitKey(key)[0]))];
    const others = exchanges.filter((exchange) => exchange !== this.#app.selection.exchange);
    const collapsed = this.#app.prefs.get("collapsed");
    this.#app.prefs.set("collapsed", others.every((exchange) => collapsed.includes(exchange)) ? [] : others);
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
    this.#drawHeads();
    setText(
      this.#note,
      this.#groups.size > 0 ? "" : this.#app.instruments.problem || "Waiting for the list of markets",
    );
  }

  #drawHeads() {
    const keys = this.keys;
    const told = this.#app.store.data("streams")?.markets ?? [];
    const known = new Map(told.map((row) => [keyOf(row.exchange, row.symbol), row]));
    for (const [exchange, group] of this.#groups) {
      const own = keys.filter((key) => splitKey(key)[0] === exchange);
      const unwell = own.filter((key) => known.has(key) && !usable(known.get(key).state)).length;
      setText(group.count, unwell > 0 ? `${own.length} · ${unwell} not live` : String(own.length));
      toggleClass(group.count, "warn", unwell > 0);
    }
  }

  /** Are this exchange's rows listed? While a filter is written, all are. */
  #open(exchange) {
    return this.#filter.value.trim() !== "" || !this.#app.prefs.get("collapsed").includes(exchange);
  }

  #build() {
    const keys = this.keys;
    const listed = keys.filter((key) => this.#open(splitKey(key)[0]) || key === this.#app.selection.key);
    for (const [key, row] of this.#rows) {
      if (listed.includes(key)) continue;
      row.stop();
      this.#rows.delete(key);
    }
    const changed = () => this.#app.scheduler.invalidate(this);
    for (const key of listed) if (!this.#rows.has(key)) this.#rows.set(key, new WatchRow(this.#app, key, changed));
    this.#group(keys, listed);
    this.#selected();
    this.#applyFilter();
    this.#app.scheduler.invalidate(this);
  }

  #group(keys, listed) {
    const exchanges = [...new Set(keys.map((key) => splitKey(key)[0]))];
    for (const exchange of exchanges) {
      if (!this.#groups.has(exchange)) this.#groups.set(exchange, group(exchange));
      const { element, list, fold } = this.#groups.get(exchange);
      place(
        list,
        listed.filter((key) => splitKey(key)[0] === exchange).map((key) => this.#rows.get(key).element),
      );
      setAttribute(fold, "aria-expanded", String(this.#open(exchange)));
      toggleClass(element, "simulated", this.#app.store.isSimulated(exchange));
    }
    for (const exchange of this.#groups.keys()) if (!exchanges.includes(exchange)) this.#groups.delete(exchange);
    place(this.#body, [...exchanges.map((exchange) => this.#groups.get(exchange).element), this.#note]);
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
      element.hidden = this.#filter.value.trim() !== "" && !element.querySelector(".watch-row:not([hidden])");
  }
}

/** Make these the children, in this order; those that stand right are not moved, so nothing loses its focus. */
function place(parent, children) {
  children.forEach((child, i) => {
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

function group(exchange) {
  const list = el("ul", { class: "watch-list" });
  const count = el("span", { class: "watch-count num", text: "" });
  const fold = el(
    "button",
    { class: "watch-fold", type: "button", "data-exchange": exchange, "data-ex": exchangeColour(exchange) },
    el("i", { class: "watch-chevron", "aria-hidden": "true" }),
    el("i", { class: "ex-swatch", "aria-hidden": "true" }),
    el("span", { text: exchangeName(exchange) }),
    count,
  );
  return { list, count, fold, element: el("div", { class: "watch-group" }, el("h3", {}, fold), list) };
}
