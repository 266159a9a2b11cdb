/** The filters above a page of the blotter. Tells what the user wrote; what it means is blotter-model's. */

import { EMPTY, KINDS, SPANS, filtered, spanStart } from "./blotter-model.js";
import { el, setAttribute, setText } from "./dom.js";

export class FilterBar {
  #app;
  #changed;
  #fields = {};
  #symbols = el("datalist", {});
  #clear = el("button", { class: "button button-quiet", type: "button", text: "Clear" });
  #csv = el("a", { class: "button filter-csv", download: "", text: "CSV", title: "All rows of these filters as a table" });

  /**
   * @param names filters to have, some of account, symbol, side, kind, time, sort, csv
   * @param label what is filtered  @param changed called after every change
   */
  constructor(app, names, label, changed) {
    this.#app = app;
    this.#changed = changed;
    const has = (name) => names.includes(name);
    this.element = el("form", { class: "filter-bar", "aria-label": `Filter ${label}` });
    if (has("account")) this.#add("account", "Account", el("select", { class: "filter-field" }));
    if (has("symbol")) this.#addSymbol(`${label.replaceAll(" ", "-")}-symbols`);
    if (has("side")) this.#add("side", "Side", choice({ "": "Both sides", buy: "Buy", sell: "Sell" }));
    if (has("kind")) this.#add("kind", "Kind", choice(KINDS));
    if (has("time")) this.#addTimes();
    if (has("sort")) this.#add("sort", "Order", choice({ "-time": "Newest first", time: "Oldest first" }));
    this.element.append(this.#clear);
    if (has("csv")) this.element.append(el("span", { class: "panel-space" }), this.#csv);
    this.element.addEventListener("submit", (event) => event.preventDefault());
    this.element.addEventListener("change", () => this.#tell());
    this.#clear.addEventListener("click", () => this.clear());
  }

  start() {
    if (this.#fields.account) {
      this.#app.accounts.addEventListener("change", () => this.#showAccounts());
      this.#showAccounts();
    }
    this.#show();
  }

  get values() {
    const values = { ...EMPTY };
    for (const [name, field] of Object.entries(this.#fields)) values[name] = field.value;
    return values;
  }

  set(values) {
    for (const [name, value] of Object.entries(values)) if (this.#fields[name]) this.#fields[name].value = value;
    this.#tell();
  }

  clear() {
    this.set(Object.fromEntries(Object.keys(this.#fields).map((name) => [name, EMPTY[name]])));
  }

  link(href) {
    setAttribute(this.#csv, "href", href);
  }

  #tell() {
    this.#show();
    this.#changed();
  }

  #show() {
    this.#clear.hidden = !filtered(this.values);
  }

  #add(name, label, field) {
    this.#fields[name] = field;
    setAttribute(field, "data-filter", name);
    this.element.append(el("label", { class: `filter-label filter-${name}` }, el("span", { text: label }), field));
  }

  #addSymbol(id) {
    this.#symbols.id = id;
    const field = el("input", {
      class: "filter-field",
      type: "search",
      list: id,
      placeholder: "All markets",
      autocomplete: "off",
      autocapitalize: "characters",
      spellcheck: "false",
    });
    field.addEventListener("focus", () => this.#suggest());
    this.#add("symbol", "Market", field);
    this.element.append(this.#symbols);
  }

  /** Symbols of the exchanges that the user has accounts of. */
  #suggest() {
    const exchanges = new Set(this.#app.accounts.list.map((account) => account.exchange));
    const markets = this.#app.instruments.list.filter((market) => exchanges.has(market.exchange));
    const symbols = [...new Set(markets.map((market) => market.symbol))].sort();
    if (symbols.length === this.#symbols.options.length) return;
    this.#symbols.replaceChildren(...symbols.map((value) => el("option", { value })));
  }

  #addTimes() {
    for (const [name, label] of [
      ["from", "From"],
      ["to", "Until"],
    ])
      this.#add(name, label, el("input", { class: "filter-field num", type: "datetime-local", step: "60" }));
    const spans = el("span", { class: "segmented filter-spans", role: "group", "aria-label": "Time" });
    for (const [text, days] of Object.entries(SPANS)) {
      const button = el("button", { class: "tool", type: "button", text });
      button.addEventListener("click", () =>
        this.set({ from: spanStart(days, this.#app.nowMs(), this.#app.settings.zone), to: "" }),
      );
      spans.append(button);
    }
    this.element.append(spans);
  }

  #showAccounts() {
    const field = this.#fields.account;
    const chosen = field.value;
    field.replaceChildren(el("option", { value: "", text: "All accounts" }));
    for (const { id, label } of this.#app.accounts.list) field.append(el("option", { value: String(id), text: label }));
    const still = [...field.options].some((option) => option.value === chosen);
    field.value = still ? chosen : "";
    if (!still) this.#tell();
  }
}

function choice(options) {
  const field = el("select", { class: "filter-field" });
  for (const [value, text] of Object.entries(options)) field.append(el("option", { value, text }));
  return field;
}

/** The line below a page: which it is, and the ways to its neighbours. */
export class Pager {
  #back = el("button", { class: "button", type: "button", text: "‹ Back" });
  #further = el("button", { class: "button", type: "button", text: "Further ›" });
  #where = el("span", { class: "num", role: "status", text: "" });
  #zone = el("span", { class: "dim", text: "" });

  constructor(pages) {
    this.#back.addEventListener("click", () => pages.back());
    this.#further.addEventListener("click", () => pages.further());
    const space = el("span", { class: "panel-space" });
    this.element = el("div", { class: "pager" }, this.#back, this.#where, this.#further, space, this.#zone);
  }

  show(pages, zone, news) {
    this.#back.disabled = pages.first || pages.turning;
    this.#further.disabled = pages.next === null || pages.turning;
    const count = `${pages.rows.length} ${pages.rows.length === 1 ? "row" : "rows"}`;
    setText(this.#where, pages.loaded ? `Page ${pages.number} · ${count}${news ? " · newer ones came" : ""}` : "");
    setText(this.#zone, `Times: ${zone}`);
  }
}
