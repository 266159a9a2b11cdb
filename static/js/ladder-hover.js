/**
 * Pointing at a ladder row: shade everything to the middle and say what taking it would cost. Arrow keys do the same,
 * Enter or a click puts the price into the ticket or, where there is none, copies it. The cross of own orders cancels.
 *
 * Rows are patched while a button of the mouse is down. What counts is what stood there when it was pressed.
 */

import * as decimal from "./decimal.js";
import { el, setStyle, setText } from "./dom.js";
import * as format from "./format.js";
import { sweep } from "./ladder-model.js";

const STILL_PX = 6; // moved further, a press is taken back

export class LadderHover {
  #scroller;
  #rows;
  #taken;
  #at = null; // {side, index}
  #pressed = null; // {x, y, own, price}
  #shade = el("div", { class: "ladder-shade", hidden: true, "aria-hidden": "true" });
  #values = {};
  #tip;

  /**
   * @param taken {take(text): whether somebody took the price, copied(text): the clipboard has it; null: that failed,
   *   cancel(own): of rows that have own orders}
   */
  constructor(scroller, rows, taken) {
    this.#scroller = scroller;
    this.#rows = rows;
    this.#taken = taken;
    const list = el("dl", {});
    for (const label of ["Average", "Total", "Value", "From mid"]) {
      this.#values[label] = el("dd", { class: "num", text: "" });
      list.append(el("dt", { text: label }), this.#values[label]);
    }
    this.#tip = el("div", { class: "ladder-tip", hidden: true }, list);
    rows.element.append(this.#shade);
    document.body.append(this.#tip);
  }

  start() {
    const scroller = this.#scroller;
    scroller.addEventListener("pointermove", (event) => this.#point(event));
    scroller.addEventListener("pointerleave", () => this.clear());
    scroller.addEventListener("blur", () => this.clear());
    scroller.addEventListener("pointerdown", (event) => (this.#pressed = this.#under(event)));
    scroller.addEventListener("click", (event) => this.#click(event));
    scroller.addEventListener("keydown", (event) => this.#key(event));
  }

  clear() {
    this.#at = null;
    this.#shade.hidden = true;
    this.#tip.hidden = true;
  }

  /** Another book: nothing of the one before may be taken any more. */
  forget() {
    this.#pressed = null;
    this.draw(null, null, {});
    this.clear();
  }

  /** Compute anew from the rows that are drawn. @param currency {base, quote} names */
  draw(model, mid, currency) {
    this.model = model;
    this.mid = mid;
    this.currency = currency;
    const cost = this.#at && model ? sweep(model[`${this.#at.side}s`], this.#at.index, mid) : null;
    this.#shade.hidden = this.#tip.hidden = !cost;
    if (!cost) return;
    setText(this.#values.Average, format.price(cost.average));
    setText(this.#values.Total, `${format.fixed(decimal.normalize(cost.base))} ${currency.base}`);
    setText(this.#values.Value, `${format.compact(cost.quote)} ${currency.quote}`);
    setText(this.#values["From mid"], cost.slippage ? format.bpsText(cost.slippage) : format.NONE);
    this.#place();
  }

  #place() {
    const row = this.#rows.at(this.#at.side, this.#at.index).element;
    const best = this.#rows.at(this.#at.side, 0).element;
    const top = Math.min(row.offsetTop, best.offsetTop);
    setStyle(this.#shade, "top", `${top}px`);
    setStyle(this.#shade, "height", `${Math.max(row.offsetTop, best.offsetTop) + row.offsetHeight - top}px`);
    const box = row.getBoundingClientRect();
    const tip = this.#tip.getBoundingClientRect();
    const left = box.left > tip.width + 12 ? box.left - tip.width - 8 : Math.max(8, box.right - tip.width - 8);
    const above = box.left > tip.width + 12 ? box.top + box.height / 2 - tip.height / 2 : box.top - tip.height - 8;
    setStyle(this.#tip, "left", `${left}px`);
    setStyle(this.#tip, "top", `${Math.min(innerHeight - tip.height - 8, Math.max(8, above))}px`);
  }

  #point(event) {
    if (event.pointerType === "touch") return;
    const row = event.target.closest(".ladder-row");
    this.#move(row ? { side: row.dataset.side, index: Number(row.dataset.index) } : null);
  }

  #move(at) {
    this.#at = at;
    if (at) this.draw(this.model, this.mid, this.currency);
    else this.clear();
  }

  #key(event) {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (event.key === "Escape") this.clear();
    else if (event.key === "Enter" && this.#at) this.#take(this.#priceOf(this.#at));
    else if (step) {
      // Up is away from the middle on the asks' side, towards it on the bids'.
      const place = this.#at ? (this.#at.side === "ask" ? this.#at.index + 1 : -this.#at.index - 1) : 0;
      const next = place + step === 0 ? place + 2 * step : place + step;
      const index = Math.abs(next) - 1;
      if (!this.#rows.at(next > 0 ? "ask" : "bid", index)) return;
      event.preventDefault();
      this.#move({ side: next > 0 ? "ask" : "bid", index });
      this.#rows.at(this.#at.side, index).element.scrollIntoView({ block: "nearest" });
    }
  }

  /** What a pointer or a key is on: own orders by their cross, or else a price. */
  #under({ target, clientX, clientY }) {
    const row = target.closest(".ladder-row");
    const at = row && { side: row.dataset.side, index: Number(row.dataset.index) };
    const cross = target.closest("button");
    const own = (cross && at && this.#rows.at(at.side, at.index).own) ?? null;
    return { x: clientX, y: clientY, own, price: cross || !at ? null : this.#priceOf(at) };
  }

  #click(event) {
    const byPointer = event.detail > 0;
    const pressed = byPointer ? this.#pressed : this.#under(event);
    this.#pressed = null;
    if (!pressed) return;
    const { x, y, own, price } = pressed;
    if (byPointer && Math.hypot(event.clientX - x, event.clientY - y) > STILL_PX) return;
    // The second of two quick clicks is none on the order that has come to stand there meanwhile.
    if (own && event.detail < 2) this.#taken.cancel(own);
    if (price !== null) this.#take(price);
  }

  #priceOf({ side, index }) {
    const row = this.model?.[`${side}s`][index];
    return row ? decimal.text(row.price) : null;
  }

  async #take(text) {
    if (text === null) return;
    if (this.#taken.take(text)) return;
    try {
      await navigator.clipboard.writeText(text);
      this.#taken.copied(text);
    } catch {
      this.#taken.copied(null); // not a secure page, or the browser forbids it
    }
  }
}
