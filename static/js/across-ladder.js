/**
 * The order book over all exchanges. One frame is one picture. An exchange that is switched off leaves at once, one
 * that goes stale by itself; where exchanges cross, the band is drawn, since that is no fault.
 */

import * as across from "./across-model.js";
import { Badge } from "./badge.js";
import { AcrossRows } from "./across-rows.js";
import * as decimal from "./decimal.js";
import { el, onShown, setAttribute, setStyle, setText, toggleClass } from "./dom.js";
import * as format from "./format.js";
import { LadderHover } from "./ladder-hover.js";
import * as ladderModel from "./ladder-model.js";
import { ROWS } from "./ladder-rows.js";
import { LadderTools } from "./ladder-tools.js";
import { LegChips } from "./leg-chips.js";
import { ownOrders } from "./own-orders.js";
import { Rate } from "./rate.js";

const MIDDLE = 62;

export class AcrossLadder {
  #app;
  #parts;
  #badge = new Badge();
  #rows = null; // it, and all that the book consists of, is made when it is shown for the first time
  #chips = new LegChips((key) => this.toggle(key));
  #tools = null;
  #hover = null;
  #shown = false; // chosen, and seen
  #seen = false;
  #topic = null;
  #fine = null; // the ungrouped topic, while the figures need it
  #stops = [];
  #paused = false;
  #centred = true;
  #rate = new Rate(() => performance.now());
  #overlay = el("div", { class: "ladder-note", role: "note" }, el("strong", { text: "" }), el("span", { text: "" }));
  #share = el("span", { class: "share", "aria-hidden": "true" }, el("i", {}));
  #shareText = el("span", { text: "" });
  #depth = el("span", { class: "ladder-depth dim", text: "" });

  /** @param parts {chips, body, tools, columns, foot, state, paused} elements of the template */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
  }

  start() {
    const { selection, instruments, prefs, scheduler } = this.#app;
    onShown(this.#parts.body, (seen) => {
      this.#seen = seen;
      this.#watch();
    });
    selection.addEventListener("change", () => this.#watch());
    instruments.addEventListener("change", () => this.#watch());
    prefs.onChange("unit", () => scheduler.invalidate(this));
    prefs.onChange("off", () => this.#watch());
    scheduler.ageing(this);
  }

  #build() {
    const app = this.#app;
    const { tools, chips, body, columns, foot, state } = this.#parts;
    this.#rows = new AcrossRows();
    this.#tools = new LadderTools(tools, {
      step: (step) => this.#setStep(step),
      unit: (unit) => app.prefs.set("unit", unit),
      pause: () => this.pause(),
      refresh: () => this.#drawTools(app.store.data(this.#topic)),
    });
    this.#hover = new LadderHover(body, this.#rows, {
      take: () => false, // a row may be another exchange's, or its price converted: nothing for the ticket
      copied: (text) => app.toast(text === null ? "The browser does not let this page copy" : `Copied ${text}`),
    });
    body.tabIndex = 0;
    body.append(this.#rows.element);
    body.after(this.#overlay);
    chips.append(this.#chips.element);
    state.append(this.#badge.element);
    columns.append(...["Price", "At", "Size", "Total"].map((text) => el("span", { text })));
    foot.append(this.#share, el("span", { class: "ladder-foot-text" }, this.#shareText, this.#depth));
    for (const event of ["wheel", "touchmove", "keydown"])
      body.addEventListener(event, () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#fit()).observe(body);
    this.#hover.start();
  }

  show(on) {
    this.#shown = on;
    if (on && !this.#rows) this.#build();
    this.#watch();
  }

  // What the keys and chips do

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

  /** Leave an exchange out of the book, or take it in again. */
  toggle(key) {
    const off = new Set(this.#app.prefs.get("off"));
    if (!off.delete(key)) off.add(key);
    this.#app.prefs.set("off", [...off]);
  }

  #scrolled() {
    requestAnimationFrame(() => (this.#centred = Math.abs(this.#parts.body.scrollTop - this.#middleTop()) < 2));
  }

  #fit() {
    const { body } = this.#parts;
    if (body.clientHeight === 0) return;
    const narrow = matchMedia("(width < 760px)").matches;
    const limits = narrow ? { least: 22, most: 28 } : { least: 18, most: 24 };
    const { row, middle } = ladderModel.heights(body.clientHeight, { rows: ROWS, middle: MIDDLE, ...limits });
    setStyle(body, "--ladder-row", `${row}px`);
    setStyle(body, "--ladder-middle", `${middle}px`);
    if (this.#centred) this.centre();
  }

  #middleTop() {
    const { body } = this.#parts;
    return (body.scrollHeight - body.clientHeight) / 2;
  }

  // Which book

  get #off() {
    return new Set(this.#app.prefs.get("off"));
  }

  get #tick() {
    return across.finestTick(this.#app.instruments.list, this.#app.selection.symbol);
  }

  get #step() {
    const remembered = this.#app.prefs.step(`across:${this.#app.selection.symbol}`);
    const tick = this.#tick;
    if (!tick || !remembered) return remembered ?? tick;
    return decimal.compare(decimal.parse(remembered), decimal.parse(tick)) > 0 ? remembered : tick;
  }

  #setStep(step) {
    this.#app.prefs.setStep(`across:${this.#app.selection.symbol}`, step);
    this.#watch();
  }

  #watch() {
    const { symbol } = this.#app.selection;
    const wanted = this.#rows && this.#shown && this.#seen && symbol;
    const topic = wanted ? across.acrossTopic(symbol, this.#step, this.#tick) : null;
    // Of a grouped frame the figures hold for all exchanges only; without some of them they come from ungrouped books.
    const fine = topic?.startsWith("across@") && this.#off.size > 0 ? `across:${symbol}` : topic;
    this.#app.scheduler.invalidate(this);
    if (topic === this.#topic && fine === this.#fine) return;
    const topics = new Set([topic, fine].filter(Boolean));
    const stops = [...topics].map((one) => this.#app.store.watch(one, (frame) => this.#changed(one, frame)));
    if (wanted) stops.push(this.#app.orders.watch(() => this.#app.scheduler.invalidate(this)));
    for (const stop of this.#stops) stop();
    const other = topic !== this.#topic;
    this.#stops = stops;
    this.#topic = topic;
    this.#fine = fine;
    if (!other) return;
    this.#paused = false;
    this.#rate.reset();
    this.#hover.forget();
    this.#rows.draw(null, null);
    this.#rows.middle.draw(null, null);
  }

  #changed(topic, frame) {
    if (frame && topic === this.#topic) this.#rate.count();
    this.#app.scheduler.invalidate(this);
  }

  // Drawing

  draw() {
    if (!this.#topic) return;
    const { store, prefs } = this.#app;
    const status = store.status(this.#topic, this.#app.serverUs());
    const held = store.data(this.#topic);
    this.#badge.show(status);
    this.#parts.paused.hidden = !this.#paused;
    this.#drawTools(held);
    toggleClass(this.#parts.body, "stale", !status.usable);
    const off = this.#off;
    if (held) this.#drawChips(held, status, off);
    if (this.#paused) return;
    const data = status.empty ? null : held;
    const model = data && across.build(data, { rows: ROWS, unit: prefs.get("unit"), off });
    const fine = data && (this.#fine === this.#topic ? data : store.data(this.#fine));
    const figures = fine ? across.figures(fine, off) : null;
    const told = data && { legs: data.legs, names: across.legNames(data.legs), base: data.base };
    const isBand = (row, isBid) => Boolean(figures) && across.inBand(row, isBid, figures);
    this.#rows.draw(model, model && { ...told, isBand, marks: this.#ownOrders(model, data) });
    this.#rows.middle.draw(figures, told);
    this.#hover.draw(model, figures?.mid, told ? { base: data.base, quote: data.quote } : {});
    this.#drawFoot(model, figures);
    this.#say(status, model, data);
  }

  #drawTools(data) {
    const [base = "", quote = ""] = (this.#app.selection.symbol ?? "").split(":")[0].split("/");
    const price = data?.mid ? decimal.parse(data.mid) : null;
    const tick = this.#tick;
    const steps = tick ? ladderModel.steps(tick, price) : [];
    const unit = this.#app.prefs.get("unit");
    this.#tools.draw({ steps, step: this.#step, unit, base, quote, paused: this.#paused });
    const amount = unit === "base" ? base : quote;
    [`Price (${quote})`, "At", `Size (${amount})`, `Total (${amount})`].forEach((text, i) =>
      setText(this.#parts.columns.children[i], text),
    );
  }

  #drawChips(data, status, off) {
    const names = across.legNames(data.legs);
    const legs = data.legs.map((leg, i) => ({ ...leg, key: across.legKey(leg), names: names[i] }));
    // While our own connection is silent no exchange is current.
    const stale = (leg) => (leg.usable ? { ...leg, usable: false, state: "STALE" } : leg);
    this.#chips.draw(status.usable ? legs : legs.map(stale), off, this.#app.laterMs(this.#topic));
  }

  #ownOrders(model, data) {
    const step = decimal.parseOrNull(data.step);
    const own = model.chosen
      .map((i) => data.legs[i])
      .filter((leg) => !leg.rate)
      .flatMap((leg) => this.#app.orders.openAt(`${leg.exchange}:${leg.symbol}`));
    return ownOrders(own, model, step, (order) => (order.exchange ? `${order.exchange} ` : ""));
  }

  #drawFoot(model, figures) {
    const imbalance = figures?.imbalance ?? null;
    this.#share.hidden = !imbalance;
    if (imbalance) this.#share.firstChild.style.width = `${50 + decimal.toNumber(imbalance.value) * 50}%`;
    setText(
      this.#shareText,
      imbalance ? `Imbalance ${format.percent(imbalance.value, 0)} · ${imbalance.levels} levels` : "",
    );
    const levels = model ? Math.max(model.asks.length, model.bids.length) : 0;
    const rate = this.#rate.perSecond();
    setText(this.#depth, model ? `${levels} rows${rate === null ? "" : ` · ${rate.toFixed(1)}/s`}` : "");
    setAttribute(this.#depth, "title", "Rows a side that no exchange's part is missing of; pictures drawn per second");
  }

  #say(status, model, data) {
    const none = Boolean(model) && model.asks.length + model.bids.length === 0;
    const off = this.#off;
    const left = none && data.legs.every((leg) => off.has(across.legKey(leg)));
    const word = status.empty ? status.state : none ? (left ? "ALL OFF" : "EMPTY") : "";
    this.#overlay.hidden = word === "";
    setText(this.#overlay.firstChild, word);
    setText(
      this.#overlay.lastChild,
      word === "ALL OFF"
        ? "Every exchange is switched off"
        : word === "EMPTY"
          ? "No exchange that is switched on has a usable book"
          : status.reason,
    );
  }
}
