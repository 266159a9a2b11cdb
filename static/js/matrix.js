/**
 * The spread matrix: what buying on one exchange (row) and selling on another (column) leaves after fees. Cells are
 * made when the set of exchanges changes, and patched. Pointing at a cell tells all about it, a click opens its books.
 */

import { legKey, legNames } from "./across-model.js";
import { Badge } from "./badge.js";
import { el, onShown, setAttribute, setStyle, setText, toggleClass } from "./dom.js";
import { ExchangeTag } from "./exchange-tag.js";
import * as format from "./format.js";
import { MatrixTools } from "./matrix-tools.js";
import * as matrixModel from "./matrix-model.js";
import { PairWords } from "./pair-words.js";

const ROOMY = 4; // so many columns have room for full names

export class Matrix {
  #app;
  #parts;
  #badge = new Badge();
  #words = new PairWords();
  #tip = el("div", { class: "matrix-tip", hidden: true }, this.#words.element);
  #note = el("p", { class: "note", role: "note", hidden: true, text: "" });
  #table = el("table", { class: "matrix-table", "aria-label": "Net spread in basis points: rows buy, columns sell" });
  #heads = [];
  #rows = []; // {head, cells}
  #legs = []; // whose cells these are
  #seen = false;
  #topic = null;
  #stop = () => {};
  #at = null; // [row, column] that is pointed at
  #called = false; // the keyboard is to come here

  /** @param parts {body, tools, state} elements of the template */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
  }

  start() {
    const { body, tools, state } = this.#parts;
    new MatrixTools(this.#app, tools).start();
    state.append(this.#badge.element);
    body.append(this.#table, this.#note);
    document.body.append(this.#tip);
    onShown(body, (seen) => {
      this.#seen = seen;
      if (!seen) this.#point(null);
      this.#watch();
    });
    this.#app.choice.addEventListener("change", () => this.#watch());
    this.#app.instruments.addEventListener("change", () => this.#watch());
    this.#table.addEventListener("pointerover", (event) => {
      if (event.pointerType !== "touch") this.#point(event.target);
    });
    this.#table.addEventListener("pointerleave", () => this.#point(null));
    this.#table.addEventListener("focusin", (event) => {
      if (event.target.matches(":focus-visible")) this.#point(event.target);
    });
    this.#table.addEventListener("focusout", () => this.#point(null));
    this.#table.addEventListener("click", (event) => this.#choose(event.target));
    this.#table.addEventListener("keydown", (event) => this.#arrow(event));
    this.#app.scheduler.ageing(this);
  }

  /** The keyboard goes to the matrix: to the chosen pair, or the first; from another view, once it is drawn again. */
  focus() {
    this.#app.layout.open("matrix");
    this.#called = !this.#focus();
  }

  #focus() {
    const legs = this.#topic && this.#app.store.data(this.#topic)?.legs;
    if (!legs) return false;
    const button = this.#chosen(legs) ?? this.#table.querySelector("button");
    button?.focus();
    if (button) this.#point(button);
    return Boolean(button);
  }

  /** By the choice itself: what is drawn is a frame older, so a key right after a click would go to the pair before. */
  #chosen(legs) {
    const pair = this.#app.choice.among(legs);
    if (!pair) return null;
    this.#build(legs);
    return this.#rows[pair[0]].cells[pair[1]].button;
  }

  #watch() {
    const topic = this.#seen ? this.#app.choice.topic : null;
    this.#app.scheduler.invalidate(this);
    if (topic === this.#topic) return;
    const stop = this.#stop;
    this.#stop = topic ? this.#app.store.watch(topic, () => this.#app.scheduler.invalidate(this)) : () => {};
    stop();
    this.#topic = topic;
    for (const { cells } of this.#rows) for (const cell of cells) cell?.clear();
  }

  // Drawing

  draw() {
    if (!this.#seen) return;
    if (!this.#topic && this.#app.choice.topic) this.#watch();
    const status = this.#topic ? this.#app.store.status(this.#topic, this.#app.serverUs()) : WAITING;
    const data = status.empty ? null : this.#app.store.data(this.#topic);
    this.#badge.show(status);
    toggleClass(this.#table, "stale", !status.usable);
    const alone = data && data.legs.length < 2;
    this.#table.hidden = !data || alone;
    this.#note.hidden = Boolean(data) && !alone;
    setText(this.#note, alone ? this.#aloneText(data) : data ? "" : `${status.state}${why(status)}`);
    if (!data || alone) return this.#point(null);
    this.#build(data.legs);
    const laterMs = this.#app.laterMs(this.#topic);
    const names = legNames(data.legs);
    data.legs.forEach((leg, i) => this.#drawHeads(i, leg, names[i], laterMs));
    const cells = matrixModel.grid(data, laterMs);
    const chosen = this.#app.choice.among(data.legs);
    this.#rows.forEach((row, i) =>
      row.cells.forEach((cell, j) =>
        cell?.draw(cells[i][j], {
          nowMs: this.#app.nowMs(),
          chosen: chosen?.[0] === i && chosen[1] === j,
          label: `Buy ${names[i].long}, sell ${names[j].long}`,
        }),
      ),
    );
    if (this.#called && document.activeElement === document.body) this.#focus();
    this.#called = false;
    this.#drawTip(data, laterMs);
  }

  #aloneText({ legs, symbol }) {
    const name = legs.length === 1 ? legNames(legs)[0].long : "No exchange";
    return `${name} alone has ${symbol}: there is nothing to compare. Choose a symbol that several exchanges have.`;
  }

  /** Heads and cells for these legs; nothing if they are the same as before. */
  #build(legs) {
    const same = legs.map(legKey).join("|") === this.#legs.map(legKey).join("|");
    this.#legs = legs;
    if (same) return;
    this.#heads = legs.map(() => new Head("col"));
    this.#rows = legs.map((_, i) => ({
      head: new Head("row"),
      cells: legs.map((__, j) => (i === j ? null : new Cell(i, j))),
    }));
    const words = ["Buy on ↓", "Sell on →"].map((text) => el("span", { text }));
    const corner = el("th", { class: "matrix-corner", scope: "col" }, ...words);
    const head = el("thead", {}, el("tr", {}, corner, ...this.#heads.map((one) => one.element)));
    const cellOf = (cell) => cell?.element ?? el("td", { class: "matrix-self" });
    const rows = this.#rows.map((row) => el("tr", {}, row.head.element, ...row.cells.map(cellOf)));
    this.#table.replaceChildren(head, el("tbody", {}, ...rows));
    toggleClass(this.#table, "many", legs.length > ROOMY);
    const first = this.#table.querySelector("button");
    if (first) first.tabIndex = 0;
  }

  #drawHeads(i, leg, names, laterMs) {
    this.#heads[i].draw(leg, names, matrixModel.feeText(leg));
    const age = format.shortAge(leg.age_ms === null ? Number.NaN : leg.age_ms + laterMs);
    this.#rows[i].head.draw(leg, names, leg.usable ? age : `${leg.state} ${age}`);
  }

  // Pointing and choosing

  #point(target) {
    const button = target?.closest?.("button[data-at]");
    this.#at = button ? button.dataset.at.split(" ").map(Number) : null;
    if (!this.#at) this.#tip.hidden = true;
    this.#app.scheduler.invalidate(this);
  }

  #drawTip(data, laterMs) {
    const pair = this.#at && matrixModel.pairOf(data, ...this.#at);
    this.#tip.hidden = !pair;
    if (!pair) return;
    const told = { nowMs: this.#app.nowMs(), laterMs, places: this.#app.choice.places };
    this.#words.show(matrixModel.explain(data, pair, told));
    const box = this.#rows[pair.buy].cells[pair.sell].element.getBoundingClientRect();
    const tip = this.#tip.getBoundingClientRect();
    const below = box.bottom + tip.height + 12 < innerHeight;
    const left = Math.min(innerWidth - tip.width - 8, Math.max(8, box.left + box.width / 2 - tip.width / 2));
    setStyle(this.#tip, "left", `${Math.round(left)}px`);
    setStyle(this.#tip, "top", `${Math.round(below ? box.bottom + 6 : Math.max(8, box.top - tip.height - 6))}px`);
  }

  #choose(target) {
    const button = target.closest("button[data-at]");
    if (!button) return;
    const [buy, sell] = button.dataset.at.split(" ").map((i) => legKey(this.#legs[Number(i)]));
    this.#app.choice.setPair(buy, sell);
    this.#app.layout.open("pair");
  }

  #arrow(event) {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const button = event.target.closest("button[data-at]");
    if (!step || !button) return;
    event.preventDefault();
    let [row, column] = button.dataset.at.split(" ").map(Number);
    do [row, column] = [row + step[0], column + step[1]];
    while (this.#rows[row] && column in this.#rows && !this.#rows[row].cells[column]);
    const next = this.#rows[row]?.cells[column];
    if (!next) return;
    button.tabIndex = -1;
    next.button.tabIndex = 0;
    next.button.focus();
  }
}

const WAITING = { state: "CONNECTING", usable: false, empty: true, reason: "waiting for a price", ageMs: null };

function why({ reason }) {
  return reason ? `: ${reason}` : "";
}

/** An exchange at the edge of the matrix: a column's with its fee, a row's with its state and age. */
class Head {
  #tag = new ExchangeTag();
  #light = el("i", { class: "light", "aria-hidden": "true" });
  #sub = el("span", { text: "" });
  #line = el("span", { class: "matrix-sub num" });

  constructor(scope) {
    const unit = el("span", { class: "matrix-unit", text: "\u2009bps" });
    this.#line.append(...(scope === "row" ? [this.#light, this.#sub] : [this.#sub, unit]));
    this.element = el("th", { scope }, el("span", { class: "matrix-name" }, this.#tag.element), this.#line);
  }

  draw(leg, names, sub) {
    this.#tag.show(leg.exchange, names);
    setAttribute(this.#line, "data-state", leg.state);
    setText(this.#sub, sub);
    toggleClass(this.element, "gone", !leg.usable);
    setAttribute(this.element, "title", leg.usable ? names.long : `${names.long}: ${leg.state}. ${leg.reason}`);
  }
}

class Cell {
  #main = el("span", { class: "cell-bps", text: "" });
  #sub = el("span", { class: "cell-since", text: "" });
  #more = el("span", { class: "cell-more", text: "" });
  button;

  constructor(row, column) {
    const at = `${row} ${column}`;
    this.button = el("button", { type: "button", tabindex: "-1", "data-at": at });
    this.button.append(this.#main, this.#sub, this.#more);
    this.element = el("td", { class: "num" }, this.button);
  }

  clear() {
    setText(this.#main, "");
    setText(this.#sub, "");
    setText(this.#more, "");
    setAttribute(this.button, "data-heat", null);
  }

  draw(cell, { nowMs, chosen, label }) {
    setText(this.#main, cell.text);
    const positive = matrixModel.positiveMs(cell.pair, nowMs);
    setText(this.#sub, positive !== null ? format.age(positive) : cell.heat === null ? whyShort(cell.pair.reason) : "");
    setText(this.#more, matrixModel.moreText(cell.pair));
    setAttribute(this.button, "data-heat", cell.heat);
    setAttribute(this.button, "aria-pressed", String(Boolean(chosen)));
    const said = cell.heat === null ? cell.pair.reason : `${cell.text} basis points net`;
    setAttribute(this.button, "aria-label", `${label}: ${said}`);
  }
}

/** One word for why a cell has no figure; the sentence is in the tip. */
function whyShort(reason) {
  if (/only .* of /.test(reason)) return "depth";
  if (/smallest order|multiple of/.test(reason)) return "size";
  if (/not traded/.test(reason)) return "halted";
  return "no book";
}
