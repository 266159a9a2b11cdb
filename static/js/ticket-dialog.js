/**
 * The confirmation of an order: what it is worth and costs, where it stands against the book, then one POST. Opening it
 * makes the order's key, so whatever is pressed in it is one order; the ticket opens it again while it is not known what
 * has become of that order.
 */

import { accountName } from "./account-cells.js";
import * as api from "./api.js";
import * as decimal from "./decimal.js";
import { el, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { asPercent } from "./fees-model.js";
import { OrderSending, sentenceOf } from "./order-sending.js";
import { against, warnings } from "./ticket-model.js";

const FIGURES = ["Value", "Estimated fee", "From the best", "Takes at once", "Terms"];

export class TicketDialog {
  #app;
  #dialog;
  #csrf;
  #asked = null; // {account, market, sending, topic, fees, others}
  #fresh = false; // opened, and not drawn since
  #changed;
  #title = el("h2", { text: "" });
  #where = el("p", { class: "order-where" });
  #sim = el("span", { class: "tag tag-sim", text: "SIMULATED", title: "No real money" });
  #name = el("span", { text: "" });
  #figures = new Map();
  #warnings = el("ul", { class: "order-warnings" });
  #state = el("p", { class: "order-state", role: "status" }, el("strong", { text: "" }), el("span", { text: "" }));
  #back = el("button", { class: "button", type: "button", text: "Back" });
  #send = el("button", { class: "button order-send", type: "button", text: "Send" });

  /** @param csrf function -> token  @param changed (asked) called when it is sent, and when an answer has come */
  constructor(app, dialog, csrf, changed) {
    this.#app = app;
    this.#dialog = dialog;
    this.#csrf = csrf;
    this.#changed = changed;
  }

  start() {
    const list = el("dl", { class: "order-figures" });
    for (const label of FIGURES) {
      const [main, sub] = [el("span", { class: "num", text: "" }), el("span", { class: "cell-sub num", text: "" })];
      this.#figures.set(label, { main, sub });
      list.append(el("dt", { text: label }), el("dd", {}, main, sub));
    }
    this.#where.append(this.#name, this.#sim);
    const end = el("div", { class: "dialog-end" }, this.#back, this.#send);
    this.#dialog.append(this.#title, this.#where, list, this.#warnings, this.#state, end);
    this.#back.addEventListener("click", () => this.#dialog.close());
    this.#send.addEventListener("click", () => this.#confirm());
    // A key that is held down since the ticket must not confirm it too.
    this.#dialog.addEventListener("keydown", (event) => event.repeat && event.preventDefault());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#app.scheduler.ageing(this);
  }

  /**
   * @param order of ticket-model's read()  @param others sentences about orders of before, of which it is not known what
   *   has become of them
   */
  open(account, market, order, fees, others) {
    const path = `/api/accounts/${account.id}/orders/`;
    const post = (body) => api.change("POST", path, this.#csrf(), body);
    const sending = new OrderSending(order, post, crypto.randomUUID());
    this.show({ account, market, sending, fees, others, topic: `book:${market.exchange}:${market.symbol}` });
  }

  /** The same confirmation once more: it is still the same order. */
  show(asked) {
    this.#asked = asked;
    this.#fresh = true;
    const { account, market, sending } = asked;
    const order = sending.body;
    this.#sim.hidden = !(account.simulated || market.simulated);
    setText(this.#name, `${accountName(account)}${market.settle ? " · perpetual" : ""}`);
    setText(this.#title, sentenceOf(order, market.base, market.quote));
    setAttribute(this.#title, "class", order.side === "buy" ? "buy" : "sell");
    setAttribute(this.#send, "data-side", order.side);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.draw();
    (sending.mayBeSent ? this.#send : this.#back).focus();
  }

  async #confirm() {
    const asked = this.#asked;
    const running = asked.sending.send();
    this.#changed(asked);
    this.draw();
    await running;
    this.#changed(asked);
    if (asked !== this.#asked) return;
    this.draw();
    if (!asked.sending.mayBeSent) this.#back.focus();
  }

  draw() {
    if (!this.#dialog.open || !this.#asked) return;
    const { account, market, sending, topic, fees, others } = this.#asked;
    const status = this.#app.store.status(topic, this.#app.serverUs());
    const data = status.empty ? null : this.#app.store.data(topic);
    const order = sending.body;
    // Once it is sent, the figures are those of that moment.
    if (sending.state === "ready" || this.#fresh) {
      this.#fresh = false;
      const view = against(order, data, fees);
      this.#drawFigures(order, view, market, fees);
      this.#drawWarnings([...others, ...warnings(order, view, status)]);
    }
    const [word, sentence] = sending.words;
    setText(this.#state.firstChild, word);
    setText(this.#state.lastChild, sentence);
    setAttribute(this.#state, "data-colour", sending.colour || null);
    this.#send.disabled = !sending.mayBeSent;
    this.#send.hidden = sending.state === "placed" || sending.state === "refused";
    const simulated = account.simulated ? " (simulated)" : "";
    const verb = `${order.side === "buy" ? "Buy" : "Sell"}${simulated}`;
    setText(this.#send, sending.state === "ready" ? verb : sending.verb);
    setText(this.#back, sending.state === "ready" ? "Back" : "Close");
  }

  #show(label, main, sub = "") {
    setText(this.#figures.get(label).main, main);
    setText(this.#figures.get(label).sub, sub);
  }

  #drawFigures(order, view, market, fees) {
    const { quote, base } = market;
    const money = (d) => `${format.fixed(d, 2)} ${quote}`;
    const { notional, fee, walked, role } = view;
    this.#show("Value", notional ? money(notional) : "not known", order.price ? "" : "by the book as it is shown");
    const bps = fees && { maker: fees.maker_bps, taker: fees.taker_bps }[role];
    const rate = bps ? `${role}, ${asPercent(decimal.parse(bps))}` : fees && role === "both" ? "taker and maker" : "";
    this.#show("Estimated fee", fee ? `${format.fixed(fee, 4)} ${quote}` : "not known", rate);
    this.#drawAway(order, view, market);
    if (!walked || walked.taken.n === 0n)
      this.#show("Takes at once", order.price ? "nothing: it waits in the book" : "not known");
    else {
      const levels = `${walked.levels} ${walked.levels === 1 ? "level" : "levels"}`;
      const part = walked.whole ? "all of it" : `${format.fixed(decimal.normalize(walked.taken))} ${base}`;
      const slip = walked.slippage ? ` · ${format.bpsText(walked.slippage)} from the best` : "";
      const prices = `Ø ${format.price(walked.average)}, to ${format.price(walked.worst)}`;
      this.#show("Takes at once", `${part}, ${levels}`, prices + slip);
    }
    const terms = [order.time_in_force, order.post_only && "post only", order.reduce_only && "reduce only"];
    this.#show("Terms", [order.price ? "Limit" : "Market", ...terms.filter(Boolean)].join(" · "));
  }

  #drawAway(order, { best, own, away, crosses }, market) {
    const [side, other] = order.side === "buy" ? ["bid", "ask"] : ["ask", "bid"];
    const places = format.placesOf(market.tick);
    if (!order.price) this.#show("From the best", best ? `best ${other} ${format.price(best, places)}` : "not known");
    else if (crosses) this.#show("From the best", `at or through the best ${other}`, format.price(best, places));
    else if (!away) this.#show("From the best", "not known");
    else {
      const far = `${format.bpsText(decimal.absolute(away))} ${away.n > 0n ? "behind" : "before"}`;
      const where = `${away.n === 0n ? "at" : far} the best ${side}`;
      this.#show("From the best", where, format.price(own, places));
    }
  }

  #drawWarnings(sentences) {
    const shown = [...this.#warnings.children].map((item) => item.textContent).join("\n");
    this.#warnings.hidden = sentences.length === 0;
    if (shown === sentences.join("\n")) return;
    this.#warnings.replaceChildren(...sentences.map((text) => el("li", { text })));
  }
}
