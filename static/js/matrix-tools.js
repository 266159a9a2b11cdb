/** The matrix' controls: the size, with steps, and whose fees are charged. */

import { el, setAttribute, setText, toggleClass } from "./dom.js";
import { readSize } from "./matrix-model.js";

export class MatrixTools {
  #app;
  #less = button("−", "Smaller size (,)");
  #more = button("+", "Larger size (.)");
  #input = el("input", {
    class: "size-input num",
    type: "text",
    inputmode: "decimal",
    "aria-label": "Size in base currency",
    title: "Size that is bought and sold",
    autocomplete: "off",
    spellcheck: "false",
  });
  #unit = el("span", { class: "size-unit", text: "" });
  #kinds = { taker: button("Taker", "Both sides pay taker fees"), maker: button("Maker", "Both sides pay maker fees") };

  constructor(app, element) {
    this.#app = app;
    element.append(
      el("div", { class: "stepper", role: "group", "aria-label": "Size" }, this.#less, this.#input, this.#more),
      this.#unit,
      el("div", { class: "segmented", role: "group", "aria-label": "Fees" }, this.#kinds.taker, this.#kinds.maker),
    );
  }

  start() {
    const { choice, scheduler } = this.#app;
    this.#less.addEventListener("click", () => choice.step(-1));
    this.#more.addEventListener("click", () => choice.step(1));
    this.#input.addEventListener("change", () => this.#typed());
    this.#input.addEventListener("input", () => this.#mark(readSize(this.#input.value) === null));
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#input.blur();
      if (event.key === "Escape") {
        this.#input.value = choice.size ?? "";
        this.#input.blur();
      }
    });
    for (const [kind, one] of Object.entries(this.#kinds)) one.addEventListener("click", () => choice.setFees(kind));
    choice.addEventListener("change", () => scheduler.invalidate(this));
    scheduler.ageing(this);
  }

  #typed() {
    const size = readSize(this.#input.value);
    if (size === null) this.#app.toast("A size is a positive number, like 0.5");
    else this.#app.choice.setSize(size);
    this.#mark(false);
    this.#app.scheduler.invalidate(this);
  }

  #mark(wrong) {
    toggleClass(this.#input, "wrong", wrong);
  }

  draw() {
    const { choice } = this.#app;
    const size = choice.size ?? "";
    if (document.activeElement !== this.#input && this.#input.value !== size) this.#input.value = size;
    setText(this.#unit, (choice.symbol ?? "").split("/")[0]);
    for (const [kind, one] of Object.entries(this.#kinds))
      setAttribute(one, "aria-pressed", String(choice.fees === kind));
  }
}

function button(text, title) {
  return el("button", { class: "tool", type: "button", title, "aria-label": title.replace(/ \(.*\)$/, ""), text });
}
