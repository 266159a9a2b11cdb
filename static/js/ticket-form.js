/** The fields of the order ticket. They say what was typed; what it means is ticket-model's. */

import { el, setAttribute, setText, toggleClass } from "./dom.js";
import { TIMES } from "./ticket-model.js";

export class TicketForm {
  #changed;
  #side = new Choice("Side", [["buy", "Buy"], ["sell", "Sell"]], "ticket-sides");
  #type = new Choice("Type", [["limit", "Limit"], ["market", "Market"]], "ticket-types");
  #price = new Field("Price", "ticket-price");
  #size = new Field("Size", "ticket-size");
  #postOnly = new Check("Post only", "Refused rather than taking from the book");
  #reduceOnly = new Check("Reduce only", "Never makes a position larger or turns it. In hedge mode it closes; any other order opens");
  #time = el(
    "select",
    { class: "ticket-time", "aria-label": "Time in force" },
    ...TIMES.map(([value, title]) => el("option", { value, title, text: value })),
  );
  #facts = { Value: el("dd", { class: "num", text: "" }), Free: el("dd", { class: "num", text: "" }) };
  #problem = el("p", { class: "ticket-problem", role: "status", text: "" });
  #submit = el("button", { class: "button ticket-submit", type: "submit", text: "" });

  /** @param actions {changed(), submit()} */
  constructor({ changed, submit }) {
    this.#changed = changed;
    const facts = el("dl", { class: "ticket-facts" });
    for (const [label, value] of Object.entries(this.#facts)) facts.append(el("dt", { text: label }), value);
    this.element = el(
      "form",
      { class: "ticket-form", autocomplete: "off" },
      el("div", { class: "ticket-choices" }, this.#side.element, this.#type.element),
      el("div", { class: "ticket-fields" }, this.#price.element, this.#size.element),
      el("div", { class: "ticket-terms" }, this.#postOnly.element, this.#reduceOnly.element, this.#time),
      facts,
      this.#problem,
      this.#submit,
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      submit();
    });
    for (const name of ["input", "change", "click"]) this.element.addEventListener(name, () => changed());
  }

  get values() {
    return {
      side: this.#side.value,
      type: this.#type.value,
      price: this.#price.input.value,
      size: this.#size.input.value,
      postOnly: this.#postOnly.input.checked,
      reduceOnly: this.#reduceOnly.input.checked,
      time: this.#time.value,
    };
  }

  setPrice(text) {
    this.#type.value = "limit";
    this.#price.input.value = text;
    this.#changed();
  }

  clearSize() {
    this.#size.input.value = "";
    this.#changed();
  }

  /** Another market: nothing of the last one may stay. */
  clear() {
    this.#price.input.value = this.#size.input.value = "";
    this.#reduceOnly.input.checked = false;
    this.#changed();
  }

  /** @param told {market, problems, ready, value, free, freeOld} */
  draw({ market, problems, ready, value, free, freeExact, freeOld }) {
    const { side, type, postOnly } = this.values;
    const limit = type === "limit";
    this.#price.show(market.quote, !limit, problems.price);
    this.#size.show(market.base, false, problems.size);
    this.#postOnly.element.hidden = !limit;
    this.#reduceOnly.element.hidden = !market.settle;
    this.#time.hidden = !limit;
    this.#time.disabled = postOnly;
    setText(this.#facts.Value, value);
    setText(this.#facts.Free, free);
    setAttribute(this.#facts.Free, "class", `num ${freeOld ? "warn" : ""}`.trim());
    setAttribute(this.#facts.Free, "title", freeOld ? "The balances are not current" : freeExact || null);
    setText(this.#problem, Object.values(problems).find(Boolean) ?? "");
    setText(this.#submit, `${side === "buy" ? "Buy" : "Sell"} ${market.base}`);
    setAttribute(this.#submit, "data-side", side);
    this.#submit.disabled = !ready;
  }
}

/** A row of buttons of which one is chosen. */
class Choice {
  #value;
  element;

  constructor(label, choices, name) {
    this.#value = choices[0][0];
    const buttons = choices.map(([value, text]) =>
      el("button", { class: "tool", type: "button", "data-value": value, text }),
    );
    this.element = el("div", { class: `segmented ${name}`, role: "group", "aria-label": label }, ...buttons);
    this.value = this.#value;
    this.element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.value = button.dataset.value;
    });
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = value;
    for (const button of this.element.children)
      setAttribute(button, "aria-pressed", String(button.dataset.value === value));
  }
}

class Field {
  input;
  #unit = el("span", { class: "ticket-unit", text: "" });

  constructor(label, id) {
    const typing = { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false" };
    this.input = el("input", { id, class: "num", ...typing });
    this.element = el("label", { class: "ticket-field", for: id }, el("span", { text: label }), this.input, this.#unit);
  }

  show(unit, off, problem) {
    setText(this.#unit, unit);
    toggleClass(this.element, "off", off);
    this.input.disabled = off;
    setAttribute(this.input, "aria-invalid", problem ? "true" : null);
  }
}

class Check {
  input = el("input", { type: "checkbox" });

  constructor(text, title) {
    this.element = el("label", { class: "ticket-check", title }, this.input, el("span", { text }));
  }
}
