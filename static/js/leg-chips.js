/**
 * The exchanges of the consolidated book, each a switch. One that is not usable has left the book by itself: its chip
 * says so, with its age. Chips are made when the set of exchanges changes, and patched.
 */

import { rateTexts } from "./across-model.js";
import { sentence } from "./badge.js";
import { el, setAttribute, setText, toggleClass } from "./dom.js";
import { ExchangeTag } from "./exchange-tag.js";
import * as format from "./format.js";

const ROOMY = 4; // so many have room for their full names

export class LegChips {
  #toggle;
  #chips = [];
  #keys = "";
  #list = el("div", { class: "chips", role: "group", "aria-label": "Exchanges in this book" });
  #rates = el("p", { class: "chips-rates num", hidden: true, text: "" });

  element = el("div", { class: "chips-box" }, this.#list, this.#rates);

  /** @param toggle called with the key of a leg whose chip was pressed */
  constructor(toggle) {
    this.#toggle = toggle;
    this.#list.addEventListener("click", (event) => {
      const chip = event.target.closest("button");
      if (chip) this.#toggle(chip.dataset.leg);
    });
  }

  /** @param legs of the frame, each with `key` and `names`  @param off Set of keys  @param laterMs since it was sent */
  draw(legs, off, laterMs) {
    const keys = legs.map(({ key }) => key).join("|");
    if (keys !== this.#keys) {
      this.#keys = keys;
      this.#chips = legs.map(({ key }) => new Chip(key));
      this.#list.replaceChildren(...this.#chips.map((chip) => chip.element));
      toggleClass(this.#list, "many", legs.length > ROOMY);
    }
    legs.forEach((leg, i) => this.#chips[i].draw(leg, !off.has(leg.key), laterMs, legs.length <= ROOMY));
    const rates = rateTexts(legs.filter((leg) => leg.rate));
    this.#rates.hidden = rates.length === 0;
    setText(this.#rates, rates.join(" · "));
    setAttribute(this.#rates, "title", rates.length > 0 ? `Tied quotes, converted:\n${rates.join("\n")}` : null);
  }
}

class Chip {
  #tag = new ExchangeTag("long");
  #age = el("span", { class: "chip-age num", text: "" });

  constructor(key) {
    const light = el("i", { class: "light", "aria-hidden": "true" });
    this.element = el("button", { class: "chip", type: "button", "data-leg": key }, light, this.#tag.element, this.#age);
  }

  draw(leg, on, laterMs, roomy) {
    const { long, short } = leg.names;
    this.#tag.show(leg.exchange, { long: roomy ? long : short });
    const ageMs = leg.age_ms === null ? null : leg.age_ms + laterMs;
    const age = ageMs === null ? "" : format.shortAge(ageMs);
    const word = leg.restored ? "OLD" : leg.state;
    const told = !leg.usable || leg.state === "POLLED";
    // Where there is no room for the word, colour and age tell; the matrix and the title have it.
    setText(this.#age, told ? `${roomy ? word : ""} ${age}`.trim() || format.NONE : "");
    setAttribute(this.element, "aria-pressed", String(on));
    setAttribute(this.element, "data-state", leg.usable ? null : leg.state);
    toggleClass(this.element, "gone", !leg.usable);
    const what = on ? "click to leave it out" : "left out; click to take it in";
    setAttribute(this.element, "aria-label", `${long}${leg.usable ? "" : `, ${leg.state}`}`);
    setAttribute(this.element, "title", `${long}: ${sentence(leg)}, ${age || "no data yet"}; ${what}`);
  }
}
