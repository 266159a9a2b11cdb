/**
 * Two books side by side: the asks of the exchange to buy on, the bids of the one to sell on, with the levels that the
 * size walks through shaded. A fixed pool of rows. The figures above are the matrix'.
 */

import { legKey, legNames } from "./across-model.js";
import { Badge } from "./badge.js";
import * as decimal from "./decimal.js";
import { el, onShown, setAttribute, setStyle, setText, toggleClass } from "./dom.js";
import { ExchangeTag } from "./exchange-tag.js";
import { digits } from "./ladder-rows.js";
import * as matrixModel from "./matrix-model.js";
import { PairWords } from "./pair-words.js";
import { walk, walkText } from "./walk-model.js";

const ROWS = 25;

export class PairBooks {
  #app;
  #parts;
  #badge = new Badge();
  #words = new PairWords();
  #swap = el("button", { class: "tool", type: "button", title: "Buy and sell the other way round", text: "Swap" });
  #note = el("p", { class: "note", role: "note", hidden: true, text: "" });
  #sides = { asks: new Side("asks", "Buy on"), bids: new Side("bids", "Sell on") };
  #books = el("div", { class: "pair-books" }, this.#sides.asks.element, this.#sides.bids.element);
  #seen = false;
  #topics = [];
  #stops = [];

  /** @param parts {body, tools, state} elements of the template */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
  }

  start() {
    const { body, tools, state } = this.#parts;
    tools.append(this.#swap);
    state.append(this.#badge.element);
    body.append(this.#words.element, this.#note, this.#books);
    this.#swap.addEventListener("click", () => this.#turn());
    onShown(body, (seen) => {
      this.#seen = seen;
      this.#watch();
    });
    this.#app.choice.addEventListener("change", () => this.#watch());
    this.#app.scheduler.ageing(this);
  }

  #watch() {
    const { symbol, topic } = this.#app.choice;
    const topics = this.#seen && symbol ? [`across:${symbol}`, topic].filter(Boolean) : [];
    this.#app.scheduler.invalidate(this);
    if (topics.join() === this.#topics.join()) return;
    const stops = topics.map((one) => this.#app.store.watch(one, () => this.#app.scheduler.invalidate(this)));
    for (const stop of this.#stops) stop();
    this.#stops = stops;
    this.#topics = topics;
  }

  /** Buy where was sold, and the other way round. */
  #turn() {
    const data = this.#app.store.data(this.#topics[0]);
    const legs = data && this.#app.choice.among(data.legs);
    if (legs) this.#app.choice.setPair(...legs.toReversed().map((i) => legKey(data.legs[i])));
  }

  draw() {
    if (!this.#seen) return;
    if (this.#topics.length === 1 && this.#app.choice.topic) this.#watch();
    const [acrossTopic, matrixTopic] = this.#topics;
    if (!acrossTopic) return;
    const { store } = this.#app;
    const status = store.status(acrossTopic, this.#app.serverUs());
    this.#badge.show(status);
    toggleClass(this.#parts.body, "stale", !status.usable);
    const data = status.empty ? null : store.data(acrossTopic);
    const matrix = matrixTopic ? store.data(matrixTopic) : null;
    if (data && matrix) this.#settle(data, matrix);
    const legs = data && this.#app.choice.among(data.legs);
    const found = Boolean(legs);
    this.#words.element.hidden = this.#books.hidden = !found;
    this.#note.hidden = found;
    this.#swap.disabled = !found;
    if (!found) return setText(this.#note, this.#noteText(status, data));
    this.#drawWords(matrix, matrixTopic);
    this.#drawSide("asks", data, legs[0]);
    this.#drawSide("bids", data, legs[1]);
  }

  /** Without a chosen pair that is here, the one that leaves the most now. */
  #settle(data, matrix) {
    const best = this.#app.choice.among(data.legs) ? null : matrixModel.bestPair(matrix);
    if (best) this.#app.choice.settle(legKey(matrix.legs[best.buy]), legKey(matrix.legs[best.sell]));
  }

  #noteText(status, data) {
    if (!data) return `${status.state}${status.reason ? `: ${status.reason}` : ""}`;
    if (data.legs.length < 2) return "Two exchanges are needed that have this symbol.";
    return "Choose a pair in the matrix.";
  }

  #drawWords(matrix, topic) {
    const legs = matrix && this.#app.choice.among(matrix.legs);
    const pair = legs && matrixModel.pairOf(matrix, ...legs);
    this.#words.element.hidden = !pair;
    if (!pair) return;
    const status = this.#app.store.status(topic, this.#app.serverUs());
    toggleClass(this.#words.element, "stale", !status.usable);
    const told = { nowMs: this.#app.nowMs(), laterMs: this.#app.laterMs(topic), places: this.#app.choice.places };
    this.#words.show(matrixModel.explain(matrix, pair, told));
  }

  #drawSide(side, data, leg) {
    const size = this.#app.choice.size;
    const walked = walk(data, leg, side, size ? decimal.parse(size) : decimal.ZERO, ROWS);
    this.#sides[side].draw(data.legs[leg], legNames(data.legs)[leg], walked, data.base);
  }
}

class Side {
  #tag = new ExchangeTag();
  #lines = [el("span", { text: "" }), el("span", { text: "" })];
  #rows = Array.from({ length: ROWS }, () => new Row());

  constructor(side, label) {
    this.element = el(
      "section",
      { class: "pair-side", "data-side": side, "aria-label": `${label}: ${side}` },
      el("header", { class: "pair-side-head" }, el("span", { class: "dim", text: label }), this.#tag.element),
      el("p", { class: "pair-foot num" }, ...this.#lines),
      ...this.#rows.map((row) => row.element),
    );
  }

  draw(leg, names, walked, base) {
    this.#tag.show(leg.exchange, names);
    toggleClass(this.element, "gone", !leg.usable);
    const said = leg.usable ? walkText(walked, base) : [leg.state, leg.reason || "no usable book"];
    said.forEach((text, i) => {
      setText(this.#lines[i], text);
      setAttribute(this.#lines[i], "title", text || null);
    });
    this.#rows.forEach((row, i) => row.draw(walked.rows[i] ?? null));
  }
}

class Row {
  #shown = false;
  #bar = el("i", { class: "pair-bar", "aria-hidden": "true" });
  #walked = el("i", { class: "pair-walked", "aria-hidden": "true" });
  #price = el("span", { class: "pair-price", text: "" });
  #size = digits("pair-size");

  element = el("div", { class: "pair-row num" }, this.#walked, this.#bar, this.#price, this.#size.element);

  draw(row) {
    if (!row && !this.#shown) return;
    this.#shown = Boolean(row);
    setText(this.#price, row?.priceText ?? "");
    this.#size.show(row?.sizeText ?? "");
    setStyle(this.#bar, "transform", `scaleX(${row?.bar ?? 0})`);
    setStyle(this.#walked, "transform", `scaleX(${row?.share ?? 0})`);
    toggleClass(this.element, "walked", row && row.share > 0);
  }
}
