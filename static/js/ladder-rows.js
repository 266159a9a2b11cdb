/** The ladder's fixed pool of rows: asks above, the middle row, bids below. Rows are made once and patched. */

import { el, setAttribute, setText, toggleClass } from "./dom.js";
import * as format from "./format.js";

export const ROWS = 25;

export class LadderRows {
  #middle = new MiddleRow();
  asks = [];
  bids = [];

  constructor() {
    // asks[0] and bids[0] are the best: both stand next to the middle.
    for (let i = 0; i < ROWS; i += 1) {
      this.asks.push(new Row("ask", i));
      this.bids.push(new Row("bid", i));
    }
    this.element = el(
      "div",
      { class: "ladder-rows", role: "table", "aria-label": "Order book" },
      ...this.asks.toReversed().map((row) => row.element),
      this.#middle.element,
      ...this.bids.map((row) => row.element),
    );
  }

  get middle() {
    return this.#middle;
  }

  /** @param marks {asks: Map, bids: Map} row index -> own orders there (own-orders.js), `cancels` if they may be */
  draw(model, marks) {
    for (let i = 0; i < ROWS; i += 1) {
      this.asks[i].draw(model?.asks[i] ?? null, marks?.asks.get(i));
      this.bids[i].draw(model?.bids[i] ?? null, marks?.bids.get(i));
    }
  }

  at(side, index) {
    return (side === "ask" ? this.asks : this.bids)[index];
  }
}

class Row {
  #shown = null;
  #length = 0;
  #bar = el("i", { class: "ladder-bar", "aria-hidden": "true" });
  #mark = new OwnMark();
  #price;
  #size = digits("ladder-size");
  #total = digits("ladder-total");

  constructor(side, index) {
    this.#price = el("span", { class: `ladder-price ${side === "ask" ? "sell" : "buy"}`, role: "cell", text: "" });
    this.element = el(
      "div",
      { class: "ladder-row num", role: "row", "data-side": side, "data-index": index },
      this.#bar,
      this.#price,
      this.#size.element,
      this.#total.element,
      this.#mark.element,
    );
  }

  get own() {
    return this.#mark.shown;
  }

  draw(row, own) {
    this.#mark.draw(row ? own : null);
    if (!row && !this.#shown) return;
    this.#shown = row;
    setText(this.#price, row?.priceText ?? "");
    this.#size.show(row?.sizeText ?? "");
    this.#total.show(row?.totalText ?? "");
    const length = row?.bar ?? 0;
    if (length === this.#length) return;
    this.#length = length;
    this.#bar.style.transform = `scaleX(${length})`;
  }
}

/** What of own orders stands in a row: side, size left and, where they may be cancelled, a cross. */
class OwnMark {
  shown = null;
  #size = el("b", { text: "" });
  #cancel = el("button", { class: "ladder-cancel", type: "button", tabindex: -1, "aria-label": "Cancel", text: "×" });

  element = el("span", { class: "ladder-own", role: "cell", hidden: true }, this.#size, this.#cancel);

  draw(own) {
    if (!own && !this.shown) return;
    this.shown = own ?? null;
    this.element.hidden = !own;
    if (!own) return;
    setText(this.#size, own.size);
    setAttribute(this.element, "data-side", own.side);
    setAttribute(this.element, "title", own.text);
    this.#cancel.hidden = !own.cancels;
    this.#cancel.disabled = Boolean(own.busy);
  }
}

/** A number whose trailing zeros are dimmed. */
export function digits(name) {
  const head = el("span", { text: "" });
  const zeros = el("span", { class: "zeros", text: "" });
  const element = el("span", { class: name, role: "cell" }, head, zeros);
  return {
    element,
    show(text) {
      const [said, rest] = format.split(text);
      setText(head, said);
      setText(zeros, rest);
    },
  };
}

/** Last price with its direction, spread, mid, mark and the book's age. Sticks to the nearer edge when scrolled. */
class MiddleRow {
  #last = el("span", { class: "mid-last num", text: "" });
  #spread = el("span", { class: "mid-spread num", text: "" });
  #mid = el("span", { class: "mid-mid num", text: "" });
  #mark = el("span", { class: "mid-mark num", text: "", title: "Mark price" });
  #age = el("span", { class: "mid-age num", text: "", title: "Age of the last update in this book" });

  element = el(
    "div",
    { class: "ladder-middle", role: "row" },
    el("span", { class: "mid-left", role: "cell" }, this.#last, this.#mark),
    el("span", { class: "mid-right", role: "cell" }, this.#spread, el("span", {}, this.#mid, this.#age)),
  );

  draw({ last, direction, middle, mark, ageMs, usable }) {
    setText(this.#last, last ?? format.NONE);
    const colour = direction === "up" ? "buy" : direction === "down" ? "sell" : "";
    setAttribute(this.#last, "class", `mid-last num ${last ? `${colour} ${direction}` : "dim"}`);
    const ticks = middle?.ticks;
    setText(
      this.#spread,
      middle ? `Spread ${format.fixed(middle.spread)} · ${format.bpsText(middle.bps)}` : "No spread",
    );
    setAttribute(this.#spread, "title", middle ? `${ticks} ${ticks === "1" ? "tick" : "ticks"}` : null);
    setText(this.#mid, middle ? `Mid ${format.price(middle.mid)}` : "");
    setText(this.#mark, mark ? `Mark ${mark}` : "");
    setText(this.#age, ageMs === null ? "" : format.age(ageMs));
    toggleClass(this.#age, "old", !usable);
  }
}
