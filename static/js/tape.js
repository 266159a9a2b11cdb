/** The latest prints, newest first: a fixed pool of rows, patched. Size sets the strength of a row's ground. */

import { Badge } from "./badge.js";
import * as decimal from "./decimal.js";
import { el, setAttribute, setText, toggleClass } from "./dom.js";
import * as format from "./format.js";

const ROWS = 50;
const REMEMBERED = 300;

export class Tape {
  #app;
  #body;
  #badgePlace;
  #badge = new Badge();
  #rows = [];
  #note = el("p", { class: "note", text: "" });
  #topic = null;
  #stopWatching = () => {};
  #sizes = []; // notionals seen, to tell what is large here

  constructor(app, body, badgePlace) {
    this.#app = app;
    this.#body = body;
    this.#badgePlace = badgePlace;
  }

  start() {
    this.#badgePlace.append(this.#badge.element);
    this.head = el(
      "div",
      { class: "tape-row tape-head" },
      ...["Time", "Price", "Size", "Value"].map((text) => el("span", { text })),
    );
    for (let i = 0; i < ROWS; i += 1) this.#rows.push(new Row());
    this.#body.append(this.head, ...this.#rows.map((row) => row.element), this.#note);
    this.#app.selection.addEventListener("change", () => this.#select());
    this.#app.scheduler.ageing(this);
    this.#select();
  }

  #select() {
    this.#stopWatching();
    this.#sizes = [];
    const { key, symbol } = this.#app.selection;
    this.#topic = key && `trades:${key}`;
    const [base, quote] = (symbol ?? "/").split(":")[0].split("/");
    ["Time", `Price${quote ? ` (${quote})` : ""}`, `Size${base ? ` (${base})` : ""}`, "Value"].forEach((text, i) =>
      setText(this.head.children[i], text),
    );
    this.#stopWatching = key ? this.#app.store.watch(this.#topic, (frame) => this.#changed(frame)) : () => {};
    this.#app.scheduler.invalidate(this);
  }

  #changed(frame) {
    const seen = this.#sizes.length === 0 ? ROWS : 5;
    for (const trade of frame?.data.trades.slice(0, seen) ?? [])
      this.#sizes.push(Number(trade.price) * Number(trade.size));
    if (this.#sizes.length > REMEMBERED) this.#sizes.splice(0, this.#sizes.length - REMEMBERED);
    this.#app.scheduler.invalidate(this);
  }

  draw() {
    if (!this.#topic) return;
    const { store, selection } = this.#app;
    const status = store.status(this.#topic, this.#app.serverUs());
    this.#badge.show(status);
    toggleClass(this.#body, "stale", !status.usable);
    const trades = status.empty ? [] : (store.data(this.#topic)?.trades ?? []);
    const places = selection.market ? format.placesOf(selection.market.tick) : undefined;
    const marks = thresholds(this.#sizes);
    this.#rows.forEach((row, i) => row.draw(trades[i] ?? null, places, marks));
    setText(
      this.#note,
      status.empty
        ? `${status.state}${status.reason ? `: ${status.reason}` : ""}`
        : trades.length === 0
          ? "No trades yet"
          : "",
    );
  }
}

/** What counts as a fair, large and very large print here: the upper half, tenth and fiftieth of what was seen. */
function thresholds(sizes) {
  if (sizes.length === 0) return [Infinity, Infinity, Infinity];
  const sorted = [...sizes].sort((a, b) => a - b);
  return [0.5, 0.9, 0.98].map((ratio) => sorted[Math.floor(ratio * (sorted.length - 1))]);
}

class Row {
  #trade = null;
  #time = el("span", { class: "dim", text: "" });
  #price = el("span", { text: "" });
  #size = el("span", { text: "" });
  #value = el("span", { text: "" });

  element = el("div", { class: "tape-row num" }, this.#time, this.#price, this.#size, this.#value);

  draw(trade, places, [fair, large, huge]) {
    if (trade?.id === this.#trade?.id && trade?.price === this.#trade?.price) return;
    this.#trade = trade;
    toggleClass(this.element, "blank", !trade);
    if (!trade) {
      for (const cell of this.element.children) setText(cell, "");
      setAttribute(this.#price, "class", null);
      setAttribute(this.element, "data-strength", null);
      return;
    }
    const price = decimal.parse(trade.price);
    const notional = decimal.multiply(price, decimal.parse(trade.size));
    const size = decimal.toNumber(notional);
    setText(this.#time, format.clock(trade.exchange_ms));
    setText(this.#price, format.price(price, places));
    setText(this.#size, format.plain(trade.size));
    setText(this.#value, format.compact(notional));
    setAttribute(this.#price, "class", { buy: "buy up", sell: "sell down" }[trade.side] ?? null);
    setAttribute(this.element, "data-side", trade.side);
    setAttribute(this.element, "data-strength", size >= huge ? 3 : size >= large ? 2 : size >= fair ? 1 : 0);
  }
}
