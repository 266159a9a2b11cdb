/** One short sentence at the lower edge, gone after a moment, or a longer one where it matters. */

import { setText } from "./dom.js";

const SHOWN_MS = 1800;

export class Toast {
  #element;
  #timer = null;
  #until = 0;
  #text = "";

  constructor(element) {
    this.#element = element;
  }

  /** What still has longer to stand is not replaced: the new one is added to it. */
  show(text, ms = SHOWN_MS) {
    const now = performance.now();
    const more = this.#until - now > ms;
    this.#text = more ? `${this.#text} · ${text}` : text;
    if (!more) this.#until = now + ms;
    clearTimeout(this.#timer);
    setText(this.#element, this.#text);
    this.#element.hidden = false;
    this.#timer = setTimeout(() => (this.#element.hidden = true), this.#until - now);
  }
}
