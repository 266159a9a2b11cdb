/** Cancelling: one order, all of an account, everything. What is under way is not asked for twice. */

import { accountName } from "./account-cells.js";
import * as api from "./api.js";

const LONG_MS = 8000;
const GONE_MS = 3000; // so long a cancelled order may still be shown, and is not cancelled again

export class Cancelling extends EventTarget {
  #app;
  #csrf;
  #confirm;
  #busy = new Set(); // "account symbol id"

  /** @param csrf function -> token  @param confirm (title, sentence, verb) -> promise of true or false */
  constructor(app, csrf, confirm) {
    super();
    this.#app = app;
    this.#csrf = csrf;
    this.#confirm = confirm;
  }

  /** Accounts whose orders this user may place and cancel. */
  get accounts() {
    return this.#app.accounts.list.filter((account) => mayTrade(account));
  }

  may(account) {
    return mayTrade(this.#app.accounts.byId(account));
  }

  busy(order) {
    return this.#busy.has(keyOf(order));
  }

  /** The button of an order in a table, null where it may not be cancelled. */
  action(order) {
    if (!this.may(order.account)) return null;
    const busy = this.busy(order);
    const run = () => this.one(order);
    return { text: busy ? "Cancelling" : "Cancel", title: "Cancel this order", disabled: busy, run };
  }

  /** Orders that stand together in a row of the book: one goes at once, several after a question. */
  async some(orders) {
    const known = orders.filter((order) => this.may(order.account) && !this.busy(order));
    const question = `${known.length} orders stand in this row of the book.`;
    const verb = `Cancel ${known.length} orders`;
    if (known.length > 1 && !(await this.#confirm("Cancel these orders?", question, verb))) return;
    await Promise.all(known.map((order) => this.one(order)));
  }

  /** @param order row of an `orders` frame */
  async one(order) {
    if (this.busy(order)) return;
    const key = keyOf(order);
    const name = `${order.side} ${order.size} ${order.symbol.split(":")[0]}${order.price ? ` at ${order.price}` : ""}`;
    this.#busy.add(key);
    this.dispatchEvent(new Event("change"));
    try {
      const body = { symbol: order.symbol, order_id: order.id };
      await this.#post(`/api/accounts/${order.account}/orders/cancel/`, body);
      this.#app.toast(`Cancelled: ${name}`);
      setTimeout(() => this.#free(key), GONE_MS);
    } catch (error) {
      this.#app.toast(`Not cancelled: ${name}. ${error.message}`, LONG_MS);
      this.#free(key);
    }
  }

  #free(key) {
    this.#busy.delete(key);
    this.dispatchEvent(new Event("change"));
  }

  async account(id) {
    const account = this.#app.accounts.byId(id);
    const name = accountName(account);
    const question = "All open orders of this account are cancelled, also those that were not placed here.";
    if (!(await this.#confirm(`Cancel all orders of ${name}?`, question, "Cancel all of it"))) return;
    try {
      const { orders } = await this.#post(`/api/accounts/${id}/cancel-all/`, {});
      this.#app.toast(`${name}: ${count(orders)} cancelled`, LONG_MS);
    } catch (error) {
      this.#app.toast(`${name}: not cancelled. ${error.message}`, LONG_MS);
    }
  }

  async everything() {
    const names = this.accounts.map(({ label }) => label).join(", ");
    const question = `All open orders of ${names} are cancelled, also those that were not placed here.`;
    if (!(await this.#confirm("Cancel everything?", question, "Cancel everything"))) return;
    try {
      const { accounts } = await this.#post("/api/cancel-all/", {});
      const told = accounts.map(({ account, orders, sentence }) => {
        const label = this.#app.accounts.byId(account)?.label ?? `Account ${account}`;
        return `${label}: ${sentence || `${count(orders)} cancelled`}`;
      });
      this.#app.toast(told.join(" · ") || "There was nothing to cancel", LONG_MS);
    } catch (error) {
      this.#app.toast(`Not cancelled: ${error.message}`, LONG_MS);
    }
  }

  #post(path, body) {
    return api.change("POST", path, this.#csrf(), body);
  }
}

/** Orders are for owners of accounts on which trading was switched on. */
export function mayTrade(account) {
  return Boolean(account?.trading) && account.role === "owner";
}

function keyOf(order) {
  return `${order.account} ${order.symbol} ${order.id}`;
}

function count(orders) {
  return orders === 1 ? "1 order" : `${orders} orders`;
}
