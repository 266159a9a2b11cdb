/** One short sentence at the lower edge, gone after a moment, or a longer one where it matters. */

import { setText } from "./dom.js";

const SHOWN_MS = 1800;

export class Toast {
  #element;
  #timer = null;

  constructor(element) {
    this.#element = element;
  }

  show(text, ms = SHOWN_MS) {
    clearTimeout(this.#timer);
    setText(this.#element, text);
    this.#element.hidden = false;
    this.#timer = setTimeout(() => (this.#element.hidden = true), ms);
  }
}
