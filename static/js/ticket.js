/** The order ticket beside the ladder: only for owners of accounts on which trading is switched on. */

import * as api from "./api.js";
import { mayTrade } from "./cancelling.js";
import * as decimal from "./decimal.js";
import { el, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { exchangeName } from "./instruments.js";
import { sentenceOf } from "./order-sending.js";
import { TicketDialog } from "./ticket-dialog.js";
import { TicketForm } from "./ticket-form.js";
import { against, freeOf, read } from "./ticket-model.js";

const FEES_MS = 60_000;

export class Ticket {
  #app;
  #parts;
  #form;
  #dialog;
  #fees = [];
  #feesAt = -Infinity;
  #topic = null;
  #stops = [];
  #sent = []; // {sending, market, account} of orders sent from here: the newest, and those that may stand or not
  #accounts = el("select", { class: "ticket-account", "aria-label": "Account of the order" });
  #shown = "";
  #note = el("p", { class: "note", text: "" });
  #word = el("strong", { text: "" });
  #sentence = el("span", { text: "" });
  #seen = el("button", { class: "tool", type: "button", title: "Seen: what is ordered next is a new order", text: "Dismiss" });
  #told = el("p", { class: "ticket-told", role: "status" }, el("span", {}, this.#word, this.#sentence), this.#seen);
  #cancel = el("button", {
    class: "tool",
    type: "button",
    title: "Cancel all orders of this account",
    text: "Cancel all",
  });
  #fold = el("button", { class: "tool ticket-fold", type: "button", "aria-controls": "ticket-body", text: "" });

  /** @param parts {element, head, body, dialog} of the template  @param csrf function -> token */
  constructor(app, parts, csrf) {
    this.#app = app;
    this.#parts = parts;
    this.#form = new TicketForm({ changed: () => app.scheduler.invalidate(this), submit: () => this.#ask() });
    this.#dialog = new TicketDialog(app, parts.dialog, csrf, (asked) => {
      this.#sent = [...this.#sent.filter((one) => one !== asked && one.sending.isOpen), asked];
      if (asked.sending.state === "placed" && this.#isTyped(asked)) this.#form.clearSize();
      app.scheduler.invalidate(this);
    });
  }

  start() {
    const { head, body } = this.#parts;
    head.append(this.#accounts, el("span", { class: "panel-space" }), this.#cancel, this.#fold);
    body.append(this.#form.element, this.#told, this.#note);
    this.#dialog.start();
    this.#accounts.addEventListener("change", () => {
      this.#app.prefs.remember("tradeAccounts", this.#app.selection.exchange, Number(this.#accounts.value));
      this.#app.scheduler.invalidate(this);
    });
    this.#seen.addEventListener("click", () => this.#dismiss());
    this.#cancel.addEventListener("click", () => this.#app.cancelling.account(this.#account.id));
    this.#fold.addEventListener("click", () => this.#app.prefs.set("ticket", !this.#open));
    const changed = () => this.#changed();
    this.#app.prefs.onChange("ticket", changed);
    this.#app.accounts.addEventListener("change", changed);
    this.#app.selection.addEventListener("change", () => {
      this.#form.clear();
      changed();
    });
    this.#app.instruments.addEventListener("change", changed);
    this.#app.scheduler.ageing(this);
    changed();
  }

  /** Put a price into the ticket. @returns {boolean} whether there is a ticket that takes it */
  fill(price) {
    if (!this.#account || !this.#open) return false;
    this.#form.setPrice(price);
    return true;
  }

  get #open() {
    return this.#app.prefs.get("ticket") ?? !matchMedia("(width < 760px)").matches;
  }

  /** Accounts that may place an order in the market of the page. */
  get #choices() {
    const { accounts, selection } = this.#app;
    const product = selection.market?.product;
    return accounts.list.filter(
      (account) => mayTrade(account) && account.exchange === selection.exchange && account.products.includes(product),
    );
  }

  get #account() {
    const choices = this.#choices;
    const wanted = this.#app.prefs.get("tradeAccounts")[this.#app.selection.exchange];
    return choices.find(({ id }) => id === wanted) ?? choices[0] ?? null;
  }

  #changed() {
    const some = this.#app.accounts.list.some(mayTrade);
    this.#parts.element.hidden = !some;
    document.body.dataset.ticket = !some ? "none" : this.#open ? "open" : "shut";
    const { key } = this.#app.selection;
    const topic = some && this.#open && key && this.#account ? `book:${key}` : null;
    if (topic !== this.#topic) {
      for (const stop of this.#stops.splice(0)) stop();
      this.#topic = topic;
      if (topic) this.#stops.push(this.#app.store.watch(topic, () => this.#bookChanged()));
    }
    if (some) this.#readFees();
    this.#app.scheduler.invalidate(this);
  }

  #bookChanged() {
    this.#app.scheduler.invalidate(this);
    this.#app.scheduler.invalidate(this.#dialog);
  }

  async #readFees() {
    if (performance.now() - this.#feesAt < FEES_MS) return;
    this.#feesAt = performance.now();
    try {
      this.#fees = (await api.get("/api/fees/")).fees;
    } catch {
      this.#feesAt = -Infinity; // the dialog says that the fee is not known
    }
    this.#app.scheduler.invalidate(this);
  }

  #fee(market) {
    return this.#fees.find((row) => row.exchange === market.exchange && row.product === market.product) ?? null;
  }

  #ask() {
    const { market } = this.#app.selection;
    const account = this.#account;
    const { order } = market && account ? read(this.#form.values, market) : {};
    if (!order || this.#app.store.replay) return;
    const unknown = this.#sent.filter(({ sending }) => sending.isOpen);
    const same = unknown.find((asked) => this.#isTyped(asked));
    if (same) return this.#dialog.show(same); // by another key it would be a second order
    this.#readFees();
    const sentence = (one) => sentenceOf(one.sending.body, one.market.base, one.market.quote);
    const others = unknown.map((one) => `It is not known yet what has become of: ${sentence(one)}.`);
    this.#dialog.open(account, market, order, this.#fee(market), others);
  }

  /** Is this order what stands in the ticket now? */
  #isTyped({ sending, market, account }) {
    const now = this.#app.selection.market;
    if (!now || now.exchange !== market.exchange || now.symbol !== market.symbol) return false;
    const { order } = this.#account?.id === account.id ? read(this.#form.values, now) : {};
    return Boolean(order) && sending.means(order);
  }

  /** The trader has looked: what comes now is another order. */
  #dismiss() {
    this.#sent = [];
    this.#app.scheduler.invalidate(this);
  }

  draw() {
    if (this.#parts.element.hidden) return;
    const { market, exchange } = this.#app.selection;
    const account = this.#account;
    this.#drawHead(account);
    const none = market && !account ? `No account of yours may trade this on ${exchangeName(exchange)}.` : "";
    const why = this.#app.store.replay ? "A recording is played: nothing can be traded." : none;
    this.#note.hidden = why === "";
    setText(this.#note, why);
    this.#form.element.hidden = why !== "" || !market;
    this.#drawTold();
    if (!this.#topic || !market || !account || why) return;
    const { values } = this.#form;
    const told = read(values, market);
    const status = this.#app.store.status(this.#topic, this.#app.serverUs());
    const data = status.empty ? null : this.#app.store.data(this.#topic);
    const view = told.order && against(told.order, data, null);
    const notional = view?.notional ?? told.notional;
    this.#form.draw({
      market,
      problems: told.problems,
      ready: Boolean(told.order),
      value: notional ? `${format.fixed(notional, 2)} ${market.quote}` : format.NONE,
      ...this.#free(account, market, values.side),
    });
  }

  /** What the account has free for this side, as its balances tell. */
  #free(account, market, side) {
    const topic = `balances:${account.id}`;
    const { asset, free } = freeOf(account, market, side, this.#app.store.data(topic)?.balances ?? []);
    const usable = this.#app.store.status(topic, this.#app.serverUs()).usable && account.state !== "STALE";
    if (free === null) return { free: format.NONE, freeExact: "", freeOld: !usable };
    const places = asset === market.base ? format.placesOf(market.lot) : 2;
    const exact = decimal.normalize(decimal.parse(free));
    const shown = `${format.fixed(decimal.normalize(roundedDown(exact, places)))} ${asset}`;
    return { free: shown, freeExact: `${format.fixed(exact)} ${asset}`, freeOld: !usable };
  }

  #drawHead(account) {
    const choices = this.#choices;
    const signature = choices.map(({ id, label }) => `${id} ${label}`).join("\n");
    if (signature !== this.#shown) {
      this.#shown = signature;
      this.#accounts.replaceChildren(...choices.map(({ id, label }) => el("option", { value: id, text: label })));
    }
    if (account && this.#accounts.value !== String(account.id)) this.#accounts.value = String(account.id);
    this.#accounts.hidden = choices.length === 0;
    this.#cancel.hidden = !account;
    setText(this.#fold, this.#open ? "Hide" : "Show");
    setAttribute(this.#fold, "aria-expanded", String(this.#open));
  }

  #drawTold() {
    const { sending, market } = this.#sent.at(-1) ?? {};
    this.#told.hidden = !sending;
    if (!sending) return;
    this.#seen.hidden = this.#sent.some((one) => one.sending.state === "sending");
    const [word, sentence] = sending.words;
    const order = sentenceOf(sending.body, market.base, market.quote);
    setText(this.#word, word);
    setText(this.#sentence, `${order}${sentence ? `: ${sentence}` : ""}`);
    setAttribute(this.#told, "data-colour", sending.colour || null);
    setAttribute(this.#told, "title", `${word}. ${order}. ${sentence}`);
  }
}

/** What is free must not look more than it is. */
function roundedDown(d, places) {
  return d.places <= places ? d : { n: d.n / decimal.power(d.places - places), places };
}
