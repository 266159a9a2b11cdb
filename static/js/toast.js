/** One short sentence at the lower edge, gone after a moment. */

import { setText } from "./dom.js";

const SHOWN_MS = 1800;

export class Toast {
  #element;
  #timer = null;

  constructor(element) {
    this.#element = element;
  }

  show(text) {
    clearTimeout(this.#timer);
    setText(this.#element, text);
    this.#element.hidden = false;
    this.#timer = setTimeout(() => (this.#element.hidden = true), SHOWN_MS);
  }
}
