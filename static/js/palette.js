/** The symbol palette: a native dialog with a fuzzy filter over all markets, worked by keyboard. */

import { viaTag } from "./badge.js";
import { el, setAttribute } from "./dom.js";
import { filter } from "./fuzzy.js";
import { exchangeName, keyOf } from "./instruments.js";

const SHOWN = 50;

export class Palette {
  #app;
  #dialog;
  #input = el("input", {
    class: "palette-input",
    type: "text",
    placeholder: "Market or exchange, like btc usdt kraken",
    role: "combobox",
    "aria-expanded": "true",
    "aria-controls": "palette-list",
    "aria-label": "Find a market",
    autocomplete: "off",
    spellcheck: "false",
  });
  #list = el("ul", { class: "palette-list", id: "palette-list", role: "listbox", "aria-label": "Markets" });
  #note = el("p", { class: "palette-note", text: "" });
  #hits = [];
  #at = 0;

  constructor(app, dialog) {
    this.#app = app;
    this.#dialog = dialog;
  }

  start() {
    const foot = el(
      "p",
      { class: "palette-foot" },
      ...keyHint("↑↓", "move"),
      ...keyHint("Enter", "open"),
      ...keyHint("Esc", "close"),
    );
    this.#dialog.append(this.#input, this.#list, this.#note, foot);
    this.#input.addEventListener("input", () => this.#search());
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.#choose(Number(option.dataset.at));
    });
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#app.instruments.addEventListener("change", () => this.#dialog.open && this.#search());
  }

  open() {
    if (this.#dialog.open) return;
    this.#input.value = "";
    this.#dialog.showModal();
    this.#search();
    this.#input.focus();
  }

  #search() {
    this.#hits = filter(this.#input.value, this.#app.instruments.list, textOf, SHOWN);
    this.#at = 0;
    this.#list.replaceChildren(...this.#hits.map((market, i) => option(market, i)));
    const { problem, list } = this.#app.instruments;
    this.#note.textContent =
      this.#hits.length > 0
        ? ""
        : problem || (list.length === 0 ? "The list of markets is not there yet" : "No market matches");
    this.#mark();
  }

  #mark() {
    [...this.#list.children].forEach((item, i) => setAttribute(item, "aria-selected", String(i === this.#at)));
    const chosen = this.#list.children[this.#at];
    setAttribute(this.#input, "aria-activedescendant", chosen?.id ?? null);
    chosen?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (by) {
      event.preventDefault();
      this.#at = Math.max(0, Math.min(this.#hits.length - 1, this.#at + by));
      this.#mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#choose(this.#at);
    }
  }

  #choose(at) {
    const market = this.#hits[at];
    if (!market) return;
    const key = keyOf(market.exchange, market.symbol);
    this.#dialog.close();
    this.#app.watchlist.add(key);
    this.#app.selection.select(key);
  }
}

function textOf(market) {
  return `${market.symbol} ${market.exchange}${market.settle ? " perp perpetual" : ""}`;
}

function option(market, at) {
  const [pair, settle] = market.symbol.split(":");
  const item = el(
    "li",
    { role: "option", id: `palette-${at}`, "data-at": at, class: "palette-option" },
    el("span", { class: "palette-symbol", text: pair }),
    settle ? el("span", { class: "tag", text: "PERP" }) : null,
    market.via === "ccxt" ? viaTag(false) : null,
    market.simulated ? el("span", { class: "tag tag-sim", text: "SIM" }) : null,
    market.replay ? el("span", { class: "tag tag-replay", text: "REPLAY" }) : null,
    el("span", {
      class: "palette-where",
      text: exchangeName(market.exchange) + (market.status === "trading" ? "" : ` · ${market.status}`),
    }),
  );
  return item;
}

function keyHint(key, text) {
  return [el("kbd", { text: key }), el("span", { text })];
}
