/** Above the orders: cancel all of one account, or everything. Only where the user may. */

import { el, setText } from "./dom.js";

const OPEN = new Set(["open", "partial"]);

export class CancelBar {
  #app;
  #place;
  #shown = "";
  #buttons = new Map(); // account id -> button
  #everything = el("button", { class: "tool tool-danger", type: "button", text: "Cancel everything" });
  #element = el("div", { class: "cancel-bar", hidden: true });

  constructor(app, place) {
    this.#app = app;
    this.#place = place;
  }

  start() {
    this.#place.prepend(this.#element);
    this.#everything.addEventListener("click", () => this.#app.cancelling.everything());
    const changed = () => this.#app.scheduler.invalidate(this);
    this.#app.orders.watch(changed);
    this.#app.accounts.addEventListener("change", changed);
    this.#app.cancelling.addEventListener("change", () => this.#app.scheduler.invalidate(this.#app.orders));
  }

  draw() {
    const accounts = this.#app.cancelling.accounts;
    const signature = accounts.map(({ id, label }) => `${id} ${label}`).join("\n");
    if (signature !== this.#shown) {
      this.#shown = signature;
      this.#buttons = new Map(accounts.map((account) => [account.id, this.#button(account)]));
      this.#element.replaceChildren(...this.#buttons.values(), el("span", { class: "panel-space" }), this.#everything);
    }
    this.#element.hidden = accounts.length === 0;
    for (const { id, label } of accounts) setText(this.#buttons.get(id), `Cancel all of ${label}${this.#count(id)}`);
  }

  #button({ id }) {
    const button = el("button", { class: "tool tool-danger", type: "button", text: "" });
    button.addEventListener("click", () => this.#app.cancelling.account(id));
    return button;
  }

  /** As its newest frame tells; what it does not know is cancelled too. */
  #count(id) {
    const orders = this.#app.store.data(`orders:${id}`)?.orders;
    return orders ? ` (${orders.filter(({ status }) => OPEN.has(status)).length})` : "";
  }
}
