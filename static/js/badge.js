/** The small sign of a panel's or row's state: light, word, age; the reason on hover. */

import { el, setAttribute, setText } from "./dom.js";
import { age } from "./format.js";
import { meaning } from "./states.js";

export class Badge {
  #word = el("span", { class: "badge-word", text: "" });
  #age = el("span", { class: "num", text: "" });

  element = el("span", { class: "badge" }, el("i", { class: "light", "aria-hidden": "true" }), this.#word, this.#age);

  /** @param status of Store.status() */
  show({ state, reason, ageMs, restored }) {
    setAttribute(this.element, "data-state", state);
    setText(this.#word, restored && state === "STALE" ? "OLD" : state);
    setText(this.#age, ageMs === null ? "" : age(ageMs));
    setAttribute(this.element, "title", sentence({ state, reason, restored }));
  }
}

/** "STALE: old ... (reason)" */
export function sentence({ state, reason, restored }) {
  const what = restored ? "Kept from before the start, until the stream is live" : meaning(state);
  return `${state}: ${what}${reason ? ` (${reason})` : ""}`;
}

export const VIA_CCXT = "Followed through the library ccxt, which hides sequence numbers: checked by REST now and then";

/** The mark of a market that is followed through ccxt. */
export const viaTag = (hidden = true) => el("span", { class: "tag tag-via", text: "CCXT", title: VIA_CCXT, hidden });
