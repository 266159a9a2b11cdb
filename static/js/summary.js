/** The line at the right of the tabs: worth of all accounts and unrealised profit; and the counts on the tabs. */

import { el, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";

export class Summary {
  #worth = el("span", { class: "summary-worth", text: "" });
  #profit = el("span", { text: "" });
  #profitLabel = el("span", { class: "dim", text: "" });

  /** @param unrealised function -> Map asset -> Dec */
  constructor(element, unrealised) {
    this.unrealised = unrealised;
    element.append(this.#worth, this.#profitLabel, this.#profit);
  }

  /** @param missing how many balances and assets are not in the total */
  show(total, missing) {
    setText(this.#worth, `${total}${total && missing > 0 ? `, ${missing} left out` : ""}`);
    const [asset, sum] = [...this.unrealised().entries()][0] ?? [];
    setText(this.#profitLabel, sum ? "Unrealised" : "");
    setText(this.#profit, sum ? `${format.fixed(sum, 2, { plus: true })} ${asset}` : "");
    setAttribute(this.#profit, "class", !sum || sum.n === 0n ? null : sum.n > 0n ? "buy" : "sell");
  }
}

/** The little numbers on the tabs. */
export class Counts {
  #tabs;

  constructor(tabs) {
    this.#tabs = tabs;
  }

  set(tab, count) {
    setText(this.#tabs.querySelector(`[role=tab][data-tab="${tab}"] .count`), count ? String(count) : "");
  }
}
