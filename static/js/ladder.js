/**
 * The order book ladder. One frame is one picture: rows, totals, bars, spread and mid come from the same frame.
 *
 * A change of market or step clears the rows at once; a book that is being built is an empty ladder with its state's
 * word; a crossed book is named and not drawn.
 */

import { Badge } from "./badge.js";
import * as decimal from "./decimal.js";
import { el, setStyle, setText, toggleClass } from "./dom.js";
import * as format from "./format.js";
import { LadderHover } from "./ladder-hover.js";
import * as ladderModel from "./ladder-model.js";
import { LadderRows, ROWS } from "./ladder-rows.js";
import { LadderTools } from "./ladder-tools.js";
import { ownOrders } from "./own-orders.js";
import { Rate } from "./rate.js";

export class Ladder {
  #app;
  #parts;
  #badge = new Badge();
  #rows = new LadderRows();
  #tools;
  #hover;
  #topic = null;
  #quoteTopic = null;
  #stops = [];
  #shown = true;
  #paused = false;
  #centred = true;
  #last = null;
  #direction = "flat";
  #rate = new Rate(() => performance.now());
  #overlay = el("div", { class: "ladder-note", role: "note" }, el("strong", { text: "" }), el("span", { text: "" }));
  #share = el("span", { class: "share", "aria-hidden": "true" }, el("i", {}));
  #shareText = el("span", { text: "" });
  #depth = el("span", { class: "ladder-depth dim", text: "" });

  /** @param parts {body, tools, columns, foot, state, paused} elements of the template */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
    this.#tools = new LadderTools(parts.tools, {
      step: (step) => this.#setStep(step),
      unit: (unit) => app.prefs.set("unit", unit),
      pause: () => this.pause(),
      refresh: () => this.#drawTools(this.#currency()),
    });
    this.#hover = new LadderHover(parts.body, this.#rows, {
      take: (price) => app.ticket.fill(price),
      cancel: (own) => app.cancelling.some(own.orders),
      copied: (text) => app.toast(text === null ? "The browser does not let this page copy" : `Copied ${text}`),
    });
  }

  start() {
    const { body, columns, foot, state } = this.#parts;
    body.tabIndex = 0;
    body.append(this.#rows.element);
    body.after(this.#overlay);
    state.append(this.#badge.element);
    columns.append(...["Price", "Size", "Total"].map((text) => el("span", { text })));
    foot.append(this.#share, el("span", { class: "ladder-foot-text" }, this.#shareText, this.#depth));
    for (const event of ["wheel", "touchmove", "keydown"])
      body.addEventListener(event, () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#fit()).observe(body);
    this.#hover.start();
    this.#app.selection.addEventListener("change", () => this.#select());
    this.#app.instruments.addEventListener("change", () => this.#watch());
    this.#app.prefs.onChange("unit", () => this.#app.scheduler.invalidate(this));
    this.#app.scheduler.ageing(this);
    this.#select();
  }

  /** Watch and draw this book, or leave the place to another one. */
  show(on) {
    this.#shown = on;
    if (on) return this.#watch();
    for (const stop of this.#stops.splice(0)) stop();
    this.#topic = this.#quoteTopic = null;
    this.#hover.clear();
  }

  // What the keys do

  centre() {
    this.#parts.body.scrollTop = this.#middleTop();
    this.#centred = true;
  }

  pause() {
    this.#paused = !this.#paused;
    this.#app.scheduler.invalidate(this);
  }

  group(by) {
    this.#tools.move(by);
  }

  toggleUnit() {
    this.#app.prefs.set("unit", this.#app.prefs.get("unit") === "base" ? "quote" : "base");
  }

  /** The trader moves it himself: from now on it stays where he leaves it, unless that is the middle. */
  #scrolled() {
    requestAnimationFrame(() => (this.#centred = Math.abs(this.#parts.body.scrollTop - this.#middleTop()) < 2));
  }

  /** Whole rows in the visible part, whatever its height. */
  #fit() {
    const { body } = this.#parts;
    if (body.clientHeight === 0) return;
    const narrow = matchMedia("(width < 760px)").matches;
    const limits = narrow ? { least: 22, most: 28 } : { least: 18, most: 24 };
    const { row, middle } = ladderModel.heights(body.clientHeight, { rows: ROWS, middle: 44, ...limits });
    setStyle(body, "--ladder-row", `${row}px`);
    setStyle(body, "--ladder-middle", `${middle}px`);
    if (this.#centred) this.centre();
  }

  // Which book

  #middleTop() {
    const { body } = this.#parts;
    return (body.scrollHeight - body.clientHeight) / 2;
  }

  #select() {
    this.#last = null;
    this.#direction = "flat";
    this.#paused = false;
    this.#watch();
    this.centre();
  }

  #setStep(step) {
    this.#app.prefs.setStep(this.#app.selection.key, step);
    this.#watch();
  }

  /** The remembered step, or the tick; never finer than that. Null while the tick is not known. */
  get #step() {
    const { key, market } = this.#app.selection;
    const remembered = this.#app.prefs.step(key);
    if (!market) return remembered;
    const tick = decimal.normalize(decimal.parse(market.tick));
    return remembered && decimal.compare(decimal.parse(remembered), tick) > 0 ? remembered : decimal.text(tick);
  }

  #watch() {
    const { key, exchange, symbol, market } = this.#app.selection;
    if (!key || !this.#shown) return;
    const topic = ladderModel.bookTopic(exchange, symbol, this.#step, market?.tick);
    const quoteTopic = `quote:${key}`;
    if (topic === this.#topic && quoteTopic === this.#quoteTopic) return;
    const changed = () => this.#app.scheduler.invalidate(this);
    const stops = [
      this.#app.store.watch(topic, (frame) => {
        if (frame) this.#rate.count();
        changed();
      }),
      this.#app.store.watch(quoteTopic, changed),
      this.#app.orders.watch(changed),
    ];
    for (const stop of this.#stops) stop();
    this.#stops = stops;
    this.#topic = topic;
    this.#quoteTopic = quoteTopic;
    this.#paused = false;
    this.#rate.reset();
    this.#hover.forget();
    this.#rows.draw(null, null);
    changed();
  }

  // Drawing

  draw() {
    if (!this.#topic) return;
    const { store, selection, prefs } = this.#app;
    const status = store.status(this.#topic, this.#app.serverUs());
    const currency = this.#currency();
    this.#badge.show(status);
    this.#parts.paused.hidden = !this.#paused;
    this.#drawTools(currency);
    toggleClass(this.#parts.body, "stale", !status.usable);
    if (this.#paused) return;
    const data = status.empty ? null : store.data(this.#topic);
    const model = data && ladderModel.build(data, { rows: ROWS, unit: prefs.get("unit") });
    const middle = data && ladderModel.middle(data, selection.market?.tick);
    const shown = model && !model.crossed ? model : null;
    this.#rows.draw(shown, shown && this.#ownOrders(shown, data.step));
    this.#drawMiddle(status, middle);
    this.#hover.draw(shown, middle?.mid, currency);
    this.#drawFoot(shown);
    this.#say(status, model);
  }

  #drawTools(currency) {
    const { market } = this.#app.selection;
    const price = decimal.parseOrNull(this.#app.store.data(this.#quoteTopic)?.last);
    const steps = market ? ladderModel.steps(market.tick, price) : [];
    const unit = this.#app.prefs.get("unit");
    this.#tools.draw({ steps, step: this.#step, unit, ...currency, paused: this.#paused });
    const amount = unit === "base" ? currency.base : currency.quote;
    const [priceHead, size, total] = this.#parts.columns.children;
    setText(priceHead, `Price (${currency.quote})`);
    setText(size, `Size (${amount})`);
    setText(total, `Total (${amount})`);
  }

  #drawMiddle(status, middle) {
    const quote = this.#app.store.status(this.#quoteTopic, this.#app.serverUs());
    const data = quote.empty ? null : this.#app.store.data(this.#quoteTopic);
    const { market } = this.#app.selection;
    const places = market ? format.placesOf(market.tick) : undefined;
    const last = decimal.parseOrNull(data?.last);
    const order = last && this.#last ? decimal.compare(last, this.#last) : 0;
    if (order !== 0) this.#direction = order > 0 ? "up" : "down";
    if (last) this.#last = last;
    const mark = decimal.parseOrNull(data?.mark);
    this.#rows.middle.draw({
      last: last && format.price(last, places),
      direction: this.#direction,
      middle,
      mark: mark && format.price(mark, places),
      ageMs: status.empty ? null : status.ageMs,
      usable: status.usable,
    });
  }

  #drawFoot(model) {
    const share = model && ladderModel.bidShare(model);
    const known = share !== null && share !== undefined;
    this.#share.hidden = !known;
    if (known) this.#share.firstChild.style.width = `${share}%`;
    setText(this.#shareText, known ? `Bids ${share}\u2009% · Asks ${100 - share}\u2009%` : "");
    const levels = model ? Math.max(model.asks.length, model.bids.length) : 0;
    const rate = this.#rate.perSecond();
    setText(this.#depth, model ? `${levels} rows${rate === null ? "" : ` · ${rate.toFixed(1)}/s`}` : "");
    this.#depth.title = `${levels} rows a side, from the whole book; pictures drawn per second over the last 5 s`;
  }

  #say(status, model) {
    const word = model?.crossed
      ? "CROSSED"
      : status.empty
        ? status.state
        : model && model.asks.length + model.bids.length === 0
          ? "EMPTY"
          : "";
    const why = model?.crossed
      ? "Bids and asks overlap: not drawn until it is repaired"
      : word === "EMPTY"
        ? "No orders on either side"
        : status.reason;
    this.#overlay.hidden = word === "";
    setText(this.#overlay.firstChild, word);
    setText(this.#overlay.lastChild, why);
  }

  #ownOrders(model, step) {
    const { accounts, cancelling, orders, selection } = this.#app;
    const label = (order) => `${accounts.byId(order.account)?.label ?? ""} `.trimStart();
    const marks = ownOrders(orders.openAt(selection.key), model, decimal.parseOrNull(step), label);
    for (const mark of [...marks.asks.values(), ...marks.bids.values()]) {
      mark.cancels = mark.orders.every((order) => cancelling.may(order.account));
      mark.busy = mark.orders.every((order) => cancelling.busy(order));
    }
    return marks;
  }

  #currency() {
    const [base = "", quote = ""] = (this.#app.selection.symbol ?? "").split(":")[0].split("/");
    return { base, quote };
  }
}
