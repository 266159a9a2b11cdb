/** Candles: history by REST, then the live last bar by update(). What the legend prints is the exchange's own text. */

import * as api from "./api.js";
import { Badge } from "./badge.js";
import { CandleView } from "./candle-view.js";
import { ChartData, INTERVALS } from "./chart-data.js";
import * as decimal from "./decimal.js";
import { el, setAttribute, setText, toggleClass } from "./dom.js";
import { FillFollower } from "./fill-follower.js";
import { markText, marksOf } from "./fill-marks.js";
import * as format from "./format.js";

const HISTORY = 500;
const AGAIN_MS = 5000;

export class Chart {
  #app;
  #parts;
  #view;
  #badge = new Badge();
  #data = null;
  #topic = null;
  #stopWatching = () => {};
  #request = null;
  #timer = null;
  #problem = "";
  #loaded = false;
  #pointed = null;
  #legend = {};
  #queued = []; // bars to be drawn in the next frame
  #fills; // own ones in this market
  #marks = [];
  #marked = ""; // what the marks on the bars were made of

  /** @param parts {canvas, legend, note, intervals, state, body} elements of the template */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
    this.#fills = new FillFollower(app, () => app.scheduler.invalidate(this));
  }

  start() {
    const { canvas, intervals, legend, state } = this.#parts;
    state.append(this.#badge.element);
    this.#view = new CandleView(canvas, this.#app.theme);
    this.#view.onPoint((openMs) => {
      this.#pointed = openMs;
      this.#app.scheduler.invalidate(this);
    });
    Object.keys(INTERVALS).forEach((name, i) => {
      const button = el("button", {
        type: "button",
        class: "tool",
        "data-interval": name,
        title: `${name} bars (${i + 1})`,
        text: name,
      });
      button.addEventListener("click", () => this.setInterval(name));
      intervals.append(button);
    });
    for (const name of ["O", "H", "L", "C", "V"]) {
      this.#legend[name] = el("span", { text: "" });
      legend.append(el("span", { class: "legend-item" }, el("b", { text: name }), this.#legend[name]));
    }
    this.#legend.change = el("span", { text: "" });
    this.#legend.own = el("span", { class: "legend-own", text: "" });
    legend.append(this.#legend.change, this.#legend.own);
    this.#app.theme.addEventListener("change", () => this.#view.restyle());
    this.#app.selection.addEventListener("change", () => this.#open());
    this.#app.instruments.addEventListener("change", () => this.#setPlaces());
    this.#app.prefs.onChange("interval", () => this.#open());
    this.#app.scheduler.ageing(this);
    this.#fills.start();
    this.#open();
  }

  get #interval() {
    const name = this.#app.prefs.get("interval");
    return name in INTERVALS ? name : "1m";
  }

  setInterval(name) {
    if (name in INTERVALS && name !== this.#interval) this.#app.prefs.set("interval", name);
  }

  #open() {
    const interval = this.#interval;
    for (const button of this.#parts.intervals.children) {
      const on = button.dataset.interval === interval;
      setAttribute(button, "aria-pressed", String(on));
    }
    this.#stopWatching();
    this.#view.clear();
    this.#marked = "";
    this.#data = new ChartData(interval);
    this.#queued = [];
    this.#pointed = null;
    this.#loaded = false;
    this.#problem = "";
    const { key } = this.#app.selection;
    if (!key) return;
    this.#topic = `candles@${interval}:${key}`;
    this.#setPlaces();
    this.#stopWatching = this.#app.store.watch(this.#topic, (frame, first) => this.#changed(frame, first));
    this.#load();
  }

  #setPlaces() {
    const { market } = this.#app.selection;
    if (market) this.#view.setPlaces(format.placesOf(market.tick));
  }

  async #load() {
    clearTimeout(this.#timer);
    this.#request?.abort();
    const request = (this.#request = new AbortController());
    const { exchange, symbol } = this.#app.selection;
    const data = this.#data;
    try {
      const path = api.marketPath("candles", exchange, symbol);
      const { bars } = await api.get(path, { interval: data.interval, limit: HISTORY }, { signal: request.signal });
      if (request.signal.aborted || data !== this.#data) return;
      data.addHistory(bars);
      this.#problem = "";
      this.#view.show(data, { fit: !this.#loaded });
      this.#loaded = true;
    } catch (error) {
      if (error.name === "AbortError" || data !== this.#data) return;
      this.#problem = error.message;
      this.#timer = setTimeout(() => this.#load(), AGAIN_MS);
    }
    this.#app.scheduler.invalidate(this);
  }

  #changed(frame, first) {
    this.#app.scheduler.invalidate(this);
    if (!frame) return;
    const { changed, hole } = this.#data.addLive(frame.data.bars);
    // After a break, or past a hole, history has what was missed.
    if (this.#loaded && (first || hole)) this.#load();
    if (hole) this.#view.show(this.#data);
    else this.#queue(changed);
  }

  /** The newest state of each bar; what has not been drawn yet is overtaken. */
  #queue(bars) {
    const times = new Set(bars.map((bar) => bar.open_ms));
    this.#queued = [...this.#queued.filter((bar) => !times.has(bar.open_ms)), ...bars].sort(
      (a, b) => a.open_ms - b.open_ms,
    );
  }

  draw() {
    if (!this.#topic) return;
    const status = this.#app.store.status(this.#topic, this.#app.serverUs());
    this.#badge.show(status);
    toggleClass(this.#parts.body, "stale", !status.usable);
    for (const bar of this.#queued.splice(0)) this.#view.update(bar);
    this.#drawMarks();
    this.#drawLegend();
    const note = this.#problem
      ? `No history: ${this.#problem}`
      : this.#loaded
        ? this.#data.size === 0
          ? "No trades yet in this market"
          : ""
        : "Reading the history";
    this.#parts.note.hidden = note === "";
    setText(this.#parts.note, note);
  }

  /** Drawn anew only where fills came or the bars begin elsewhere. */
  #drawMarks() {
    const made = `${this.#topic} ${this.#fills.version} ${this.#loaded ? this.#data.firstMs : ""}`;
    if (made === this.#marked) return;
    this.#marked = made;
    this.#marks = this.#loaded ? marksOf(this.#fills.rows, this.#data.ms, this.#data.firstMs) : [];
    this.#view.mark(this.#marks);
  }

  #drawLegend() {
    const bar = (this.#pointed === null ? null : this.#data.at(this.#pointed)) ?? this.#data.last;
    this.#parts.legend.hidden = !bar;
    if (!bar) return;
    const { market } = this.#app.selection;
    const places = market ? format.placesOf(market.tick) : undefined;
    const [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(decimal.parse);
    setText(this.#legend.O, format.price(open, places));
    setText(this.#legend.H, format.price(high, places));
    setText(this.#legend.L, format.price(low, places));
    setText(this.#legend.C, format.price(close, places));
    setText(this.#legend.own, this.#pointed === null ? "" : markText(this.#marks, this.#pointed, places));
    setText(this.#legend.V, format.compact(decimal.parse(bar.base_volume)));
    const order = decimal.compare(close, open);
    const change = decimal.divide(decimal.subtract(close, open), open.n === 0n ? decimal.ONE : open, 6);
    setText(this.#legend.change, format.percent(change));
    setAttribute(this.#legend.change, "class", order > 0 ? "buy" : order < 0 ? "sell" : "");
  }
}
