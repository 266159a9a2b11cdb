/** An exchange's sign: its colour and its name, so that the colour is never alone. */

import { el, setAttribute, setText } from "./dom.js";
import { exchangeCode, exchangeColour, exchangeName } from "./exchanges.js";

export class ExchangeTag {
  #long = el("span", { class: "ex-long", text: "" });
  #short = el("span", { class: "ex-short", text: "" });

  element = el(
    "span",
    { class: "ex-tag" },
    el("i", { class: "ex-swatch", "aria-hidden": "true" }),
    this.#long,
    this.#short,
  );

  /** @param name "long", "short", or "both" to let the styles choose */
  constructor(name = "both") {
    if (name === "long") this.#short.remove();
    if (name === "short") this.#long.remove();
  }

  /** @param texts {long, short} where the exchange's own names do not say enough */
  show(exchange, { long = exchangeName(exchange), short = exchangeCode(exchange) } = {}) {
    setAttribute(this.element, "data-ex", exchangeColour(exchange));
    setText(this.#long, long);
    setText(this.#short, short);
  }
}
