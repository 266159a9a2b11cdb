/** The ladder's controls: grouping with - and + and a menu, base or quote units, pause. */

import * as decimal from "./decimal.js";
import { el, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";

export class LadderTools {
  #less = button("−", "Group less ([)");
  #more = button("+", "Group more (])");
  #menu = el("select", { class: "step-menu num", "aria-label": "Grouping step", title: "Grouping step" });
  #base = button("", "Sizes in base currency (u)");
  #quote = button("", "Sizes in quote currency (u)");
  #pause = button("Pause", "Hold the picture (p)");
  #steps = [];
  #shown = "";

  /** @param actions {step(text), unit(name), pause(), refresh(): draws the tools for what is chosen now} */
  constructor(element, actions) {
    this.actions = actions;
    element.append(
      el("div", { class: "stepper", role: "group", "aria-label": "Grouping" }, this.#less, this.#menu, this.#more),
      el("div", { class: "segmented", role: "group", "aria-label": "Units" }, this.#base, this.#quote),
      el("span", { class: "panel-space" }),
      this.#pause,
    );
    this.#less.addEventListener("click", () => this.move(-1));
    this.#more.addEventListener("click", () => this.move(1));
    this.#menu.addEventListener("change", () => actions.step(this.#menu.value));
    this.#base.addEventListener("click", () => actions.unit("base"));
    this.#quote.addEventListener("click", () => actions.unit("quote"));
    this.#pause.addEventListener("click", () => actions.pause());
  }

  /** The next coarser (1) or finer (-1) step. What is drawn may be of a choice before. */
  move(by) {
    this.actions.refresh();
    const at = this.#steps.indexOf(this.#menu.value);
    const next = this.#steps[Math.min(this.#steps.length - 1, Math.max(0, at + by))];
    if (next !== undefined && next !== this.#menu.value) this.actions.step(next);
  }

  draw({ steps, step, unit, base, quote, paused }) {
    const all =
      step && !steps.includes(step)
        ? [...steps, step].sort((a, b) => decimal.compare(decimal.parse(a), decimal.parse(b)))
        : steps;
    if (this.#shown !== all.join(" ")) {
      this.#shown = all.join(" ");
      this.#steps = all;
      this.#menu.replaceChildren(...all.map((value) => el("option", { value, text: format.plain(value) })));
    }
    if (step && this.#menu.value !== step) this.#menu.value = step;
    const at = all.indexOf(step);
    this.#menu.disabled = all.length === 0;
    this.#less.disabled = at <= 0;
    this.#more.disabled = at < 0 || at >= all.length - 1;
    setText(this.#base, base);
    setText(this.#quote, quote);
    setAttribute(this.#base, "aria-pressed", String(unit === "base"));
    setAttribute(this.#quote, "aria-pressed", String(unit === "quote"));
    setText(this.#pause, paused ? "Resume" : "Pause");
    setAttribute(this.#pause, "aria-pressed", String(paused));
  }
}

function button(text, title) {
  return el("button", { class: "tool", type: "button", title, "aria-label": title.replace(/ \(.*\)$/, ""), text });
}
