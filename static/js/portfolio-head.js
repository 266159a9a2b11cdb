/** The head of the portfolio: the total, how far it may be believed and why not, the day. */

import { Badge } from "./badge.js";
import * as decimal from "./decimal.js";
import { el, setAttribute, setClass, setText, toggleClass } from "./dom.js";
import * as format from "./format.js";
import * as model from "./portfolio-model.js";
import * as zones from "./zone-time.js";

export class PortfolioHead {
  #app;
  #element;
  #badge = new Badge();
  #drawn = false; // figures stand there
  #total = el("span", { class: "worth-total num", text: format.NONE });
  #currency = el("select", { class: "step-menu worth-currency", "aria-label": "Currency of the portfolio" });
  #prices = el("p", { class: "worth-prices num", text: "" });
  #trouble = el("p", { class: "sheet-trouble worth-trouble", role: "note", hidden: true, text: "" });
  #stats = {
    change: new Stat("Today", "The day's profit: what the equity moved by, deposits and withdrawals left out"),
    realised: new Stat("Realised today", "By sales and closed positions, with funding and interest; fees are costs"),
    unrealised: new Stat("Unrealised", "Open positions by their mark prices, since they were opened"),
    wallets: new Stat("Balances", "Spot and futures wallets, without open positions"),
  };

  constructor(app, element) {
    this.#app = app;
    this.#element = element;
  }

  start() {
    const main = el("div", { class: "worth" });
    main.append(
      el("p", { class: "worth-label" }, el("span", { text: "Total equity" }), this.#badge.element),
      el("p", { class: "worth-line" }, this.#total, this.#currency),
      this.#prices,
    );
    const stats = Object.values(this.#stats).map((stat) => stat.element);
    this.#element.append(main, el("dl", { class: "worth-stats" }, ...stats), this.#trouble);
    this.#currency.addEventListener("change", () => this.#choose());
    this.#app.settings.addEventListener("change", () => this.#showCurrency());
    this.#showCurrency();
  }

  async #choose() {
    try {
      await this.#app.settings.put({ currency: this.#currency.value });
    } catch (error) {
      this.#app.toast(error.message);
      this.#showCurrency();
    }
  }

  #showCurrency() {
    const { settings } = this.#app;
    const names = settings.get("currencies");
    if (this.#currency.options.length !== names.length)
      this.#currency.replaceChildren(...names.map((name) => el("option", { value: name, text: name })));
    this.#currency.value = settings.currency;
    this.#currency.disabled = !settings.loaded;
  }

  /**
   * @param data of the frame, null without one  @param standing of portfolio-model  @param ageMs of the frame
   * @param later ms since the frame came
   */
  draw(data, { state, word, reason }, ageMs, later) {
    this.#badge.show({ state, reason, ageMs, restored: false });
    setText(this.#badge.element.children[1], word);
    setAttribute(this.#badge.element, "title", `${word}: ${reason}`);
    toggleClass(this.#element, "stale", !data || state === "STALE");
    this.#trouble.hidden = data ? state === "LIVE" : !this.#drawn;
    const before = this.#drawn ? `These figures are of before. ${reason}` : reason;
    setText(this.#trouble, !data ? before : word === "INCOMPLETE" ? `The total is incomplete. ${reason}` : reason);
    setAttribute(this.#trouble, "title", reason);
    if (!data) return setText(this.#prices, this.#drawn ? "" : reason);
    this.#drawn = true;
    const { currency, day } = data;
    setText(this.#total, model.money(data.equity, currency));
    setText(this.#prices, pricesText(data, later));
    // What comes in another currency than was asked for is of before the change.
    toggleClass(this.#total, "dim", currency !== this.#app.settings.currency && this.#app.settings.loaded);
    const known = day.change !== null;
    const since = known ? `since ${zones.minute(day.change_since_ms, day.zone)} ${day.zone}, without transfers` : "";
    this.#stats.change.show(day.change, currency, known ? since : day.change_reason, since || day.change_reason);
    this.#stats.change.doubt(!known || !data.complete);
    const midnight = `since midnight ${day.zone}`;
    this.#stats.realised.show(
      day.realised,
      currency,
      day.complete ? midnight : model.firstOf(day.problems),
      [midnight, ...day.problems].join(". "),
    );
    this.#stats.realised.doubt(!day.complete);
    const unrealised = decimal.text(model.sum(data.accounts.map((row) => row.unrealised)));
    this.#stats.unrealised.show(unrealised, currency, "open positions, since they were opened");
    const wallets = decimal.text(model.sum(data.accounts.map((row) => row.wallets)));
    const count = data.accounts.length;
    this.#stats.wallets.show(wallets, currency, `${count} ${count === 1 ? "account" : "accounts"}`, null, false);
  }
}

/** "5 of 6 prices live, the oldest 0.4 s old" */
function pricesText(data, later) {
  const [live, all] = model.livePrices(data);
  if (all === 0) return "no prices needed";
  const oldest = format.age(model.oldestPriceMs(data, later));
  const age = oldest === "now" ? "the oldest below 1\u2009s" : `the oldest ${oldest}`;
  const lacking = data.unpriced.length > 0 ? ` · ${data.unpriced.length} without price` : "";
  return `${live === all ? `${all}` : `${live} of ${all}`} ${all === 1 ? "price" : "prices"} live, ${age}${lacking}`;
}

/** A name, a figure, a line below. */
class Stat {
  #value = el("dd", { class: "worth-value num", text: format.NONE });
  #sub = el("dd", { class: "worth-sub num", text: "" });

  constructor(name, title) {
    this.element = el("div", { class: "worth-stat", title }, el("dt", { text: name }), this.#value, this.#sub);
    this.title = title;
  }

  show(text, currency, sub, title = null, signed = true) {
    setText(this.#value, model.money(text, currency, { plus: signed }));
    setClass(this.#value, `worth-value num ${signed ? model.tone(text) : ""}`.trim());
    setText(this.#sub, sub);
    setAttribute(this.element, "title", title ? `${this.title}. ${title}` : this.title);
  }

  doubt(on) {
    toggleClass(this.element, "doubtful", on);
  }
}
