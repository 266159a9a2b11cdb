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
    const sums = [...this.unrealised().entries()].filter(([, sum]) => sum.n !== 0n);
    const texts = sums.map(([asset, sum]) => `${format.fixed(sum, 2, { plus: true })} ${asset}`);
    const gains = sums.filter(([, sum]) => sum.n > 0n).length;
    setText(this.#profitLabel, sums.length > 0 ? "Unrealised" : "");
    setText(this.#profit, texts.join(", "));
    setAttribute(this.#profit, "class", gains > 0 && gains < sums.length ? null : gains > 0 ? "buy" : "sell");
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
