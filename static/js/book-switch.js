/** Whose orders the order book shows: the selected exchange's or all exchanges', remembered for each view. */

import { el, setAttribute, setText } from "./dom.js";
import { exchangeName } from "./instruments.js";

export class BookSwitch {
  #app;
  #parts;
  #one = el("button", { class: "tool", type: "button", title: "The selected exchange's order book (b)", text: "" });
  #all = el("button", { class: "tool", type: "button", title: "All exchanges in one order book (b)", text: "" });

  /** @param parts {place, one, all, oneState, allState} elements of the template: the two books and their badges */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
  }

  start() {
    this.#parts.place.append(this.#one, this.#all);
    this.#one.addEventListener("click", () => this.#choose("one"));
    this.#all.addEventListener("click", () => this.#choose("all"));
    this.#app.prefs.onChange("book", () => this.#show());
    this.#app.layout.addEventListener("change", () => this.#show());
    this.#app.selection.addEventListener("change", () => this.#label());
    this.#app.instruments.addEventListener("change", () => this.#label());
    this.#label();
    this.#show();
  }

  toggle() {
    this.#choose(this.#chosen === "all" ? "one" : "all");
  }

  /** The book that is shown, for the keys: it has group, centre, pause. */
  get active() {
    return this.#chosen === "all" ? this.#app.acrossLadder : this.#app.ladder;
  }

  /** On a phone the views are one, and the book is the trading view's. */
  get #view() {
    return this.#app.layout.view;
  }

  get #chosen() {
    const chosen = this.#app.prefs.get("book")?.[this.#view];
    return chosen === "all" || chosen === "one" ? chosen : this.#view === "across" ? "all" : "one";
  }

  #choose(which) {
    this.#app.prefs.set("book", { ...this.#app.prefs.get("book"), [this.#view]: which });
  }

  #label() {
    const { exchange, symbol } = this.#app.selection;
    setText(this.#one, exchange ? exchangeName(exchange) : "One");
    const count = this.#app.instruments.list.filter((market) => market.symbol === symbol).length;
    setText(this.#all, count > 1 ? `All ${count}` : "All");
  }

  #show() {
    const all = this.#chosen === "all";
    const { one, all: every, oneState, allState } = this.#parts;
    one.hidden = oneState.hidden = all;
    every.hidden = allState.hidden = !all;
    this.#app.ladder.show(!all);
    this.#app.acrossLadder.show(all);
    setAttribute(this.#one, "aria-pressed", String(!all));
    setAttribute(this.#all, "aria-pressed", String(all));
  }
}
