/** A question before something that cannot be undone. */

import { el, setText } from "./dom.js";

export class ConfirmDialog {
  #dialog;
  #title = el("h2", { text: "" });
  #sentence = el("p", { text: "" });
  #yes = el("button", { class: "button button-danger", type: "button", text: "" });
  #no = el("button", { class: "button", type: "button", text: "Back" });
  #answer = null;

  /** @param dialog an empty dialog element of the template */
  constructor(dialog) {
    this.#dialog = dialog;
  }

  start() {
    this.#dialog.append(this.#title, this.#sentence, el("div", { class: "dialog-end" }, this.#no, this.#yes));
    this.#no.addEventListener("click", () => this.#dialog.close());
    this.#yes.addEventListener("click", () => this.#close(true));
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#dialog.addEventListener("keydown", (event) => event.repeat && event.preventDefault());
    this.#dialog.addEventListener("close", () => this.#close(false));
  }

  /** @returns {Promise<boolean>} whether the trader wants it */
  ask(title, sentence, verb) {
    this.#answer?.(false);
    setText(this.#title, title);
    setText(this.#sentence, sentence);
    setText(this.#yes, verb);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#no.focus();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  #close(answer) {
    const resolve = this.#answer;
    this.#answer = null;
    if (this.#dialog.open) this.#dialog.close();
    resolve?.(answer);
  }
}
