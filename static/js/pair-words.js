/** A pair of the spread matrix in words: figures, ages, history and the formula. Made once, patched. */

import { el, setAttribute, setText } from "./dom.js";

const ROWS = 8;

export class PairWords {
  #title = el("h3", { text: "" });
  #reason = el("p", { class: "pair-reason", hidden: true, text: "" });
  #labels = [];
  #values = [];
  #formula = el("p", { class: "pair-formula num", text: "" });

  element = el("div", { class: "pair-words" }, this.#title, this.#reason);

  constructor() {
    const list = el("dl", {});
    for (let i = 0; i < ROWS; i += 1) {
      this.#labels.push(el("dt", { text: "" }));
      this.#values.push(el("dd", { class: "num", text: "" }));
      list.append(this.#labels[i], this.#values[i]);
    }
    this.element.append(list, this.#formula);
  }

  /** @param said of matrix-model.explain */
  show({ title, rows, formula, reason }) {
    setText(this.#title, title);
    this.#reason.hidden = reason === "";
    setText(this.#reason, reason);
    rows.forEach(([label, value], i) => {
      setText(this.#labels[i], label);
      setText(this.#values[i], value);
    });
    const net = rows[0][1];
    setAttribute(this.#values[0], "class", `num strong ${net.startsWith("+") ? "buy" : ""}`.trim());
    setText(this.#formula, formula);
  }
}
