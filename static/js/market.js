/** The strip above the chart: the selected market's prices and figures of the day. */

import { Badge, viaTag } from "./badge.js";
import * as decimal from "./decimal.js";
import { el, setAttribute, setText, toggleClass } from "./dom.js";
import * as format from "./format.js";
import { exchangeName, splitKey } from "./instruments.js";

export class MarketStrip {
  #app;
  #element;
  #topic = null;
  #stopWatching = () => {};
  #last = null;
  #direction = "flat";
  #badge = new Badge();
  #pair = el("span", { class: "market-pair", text: "" });
  #where = el("span", { class: "market-where", text: "" });
  #perp = el("span", { class: "tag", text: "PERP", hidden: true });
  #via = viaTag();
  #sim = el("span", { class: "tag tag-sim", text: "SIMULATED", hidden: true });
  #replay = el("span", { class: "tag tag-replay", text: "REPLAY", title: "Of a recording: not live", hidden: true });
  #price = el("span", { class: "market-price num", text: "" });
  #stats = new Map();

  constructor(app, element) {
    this.#app = app;
    this.#element = element;
  }

  start() {
    const name = el(
      "div",
      { class: "market-name" },
      el("div", { class: "market-line" }, this.#pair, this.#perp, this.#via, this.#sim, this.#replay),
      el("div", { class: "market-line" }, this.#where),
    );
    const list = el("dl", { class: "market-stats" });
    for (const [id, label] of STATS) {
      const value = el("dd", { class: "num", text: "" });
      const stat = el("div", { class: "stat", "data-stat": id }, el("dt", { text: label }), value);
      this.#stats.set(id, { stat, value });
      list.append(stat);
    }
    this.#element.append(name, this.#price, list, el("div", { class: "market-state" }, this.#badge.element));
    this.#app.selection.addEventListener("change", () => this.#select());
    this.#app.instruments.addEventListener("change", () => this.#app.scheduler.invalidate(this));
    this.#app.scheduler.ageing(this);
    this.#select();
  }

  #select() {
    this.#stopWatching();
    const { key } = this.#app.selection;
    this.#topic = key && `quote:${key}`;
    this.#last = null;
    this.#direction = "flat";
    this.#stopWatching = key
      ? this.#app.store.watch(this.#topic, () => this.#app.scheduler.invalidate(this))
      : () => {};
    this.#app.scheduler.invalidate(this);
  }

  draw() {
    const { store, selection, instruments } = this.#app;
    if (!selection.key) return;
    const [exchange, symbol] = splitKey(selection.key);
    const market = instruments.get(selection.key);
    const status = store.status(this.#topic, this.#app.serverUs());
    const data = status.empty ? null : store.data(this.#topic);
    const [pair, settle] = symbol.split(":");
    setText(this.#pair, pair);
    const closed = market && market.status !== "trading" ? ` · ${market.status}` : "";
    setText(this.#where, exchangeName(exchange) + closed);
    this.#perp.hidden = !settle;
    this.#via.hidden = market?.via !== "ccxt";
    this.#sim.hidden = !(market?.simulated || store.isSimulated(exchange));
    this.#replay.hidden = !store.replay;
    toggleClass(this.#element, "stale", !status.usable);
    this.#badge.show(status);
    this.#drawPrice(data, market);
    for (const [id, , show] of STATS) {
      const { stat, value } = this.#stats.get(id);
      const shown = show(data ?? {}, { market, pair, nowMs: this.#app.replayMs() ?? this.#app.nowMs() });
      stat.hidden = shown === undefined;
      if (shown === undefined) continue;
      setText(value, shown.text ?? shown);
      setAttribute(value, "class", `num ${shown.colour ?? ""}`);
    }
    const last = this.#last ? `${format.price(this.#last, market ? format.placesOf(market.tick) : undefined)} · ` : "";
    const title = `${this.#app.alerts.title()}${store.replay ? "REPLAY · " : ""}${status.usable ? last : ""}${pair} · Spreadboard`;
    if (document.title !== title) document.title = title;
  }

  #drawPrice(data, market) {
    const last = decimal.parseOrNull(data?.last ?? null);
    const order = last && this.#last ? decimal.compare(last, this.#last) : 0;
    if (order !== 0) this.#direction = order > 0 ? "up" : "down";
    this.#last = last;
    const colour = this.#direction === "up" ? "buy" : this.#direction === "down" ? "sell" : "";
    setText(this.#price, last ? format.price(last, market ? format.placesOf(market.tick) : undefined) : format.NONE);
    setAttribute(this.#price, "class", `market-price num ${colour} ${last ? this.#direction : ""}`);
  }
}

const priced = (text, market) =>
  text ? format.price(decimal.parse(text), market ? format.placesOf(market.tick) : undefined) : format.NONE;
const amount = (text) => (text ? format.compact(decimal.parse(text)) : format.NONE);

function signed(text, places) {
  if (!text) return format.NONE;
  const d = decimal.parse(text);
  return { text: format.percent(d, places), colour: d.n === 0n ? "" : d.n > 0n ? "buy" : "sell" };
}

/** [id, label, (quote data, context) => text, {text, colour}, or undefined to leave it out] */
const STATS = [
  ["change", "24 h change", ({ change }) => signed(change)],
  ["high", "24 h high", ({ high }, { market }) => priced(high, market)],
  ["low", "24 h low", ({ low }, { market }) => priced(low, market)],
  ["base", "24 h volume", ({ base_volume: volume }, { pair }) => `${amount(volume)} ${pair.split("/")[0]}`],
  ["quote", "24 h turnover", ({ quote_volume: volume }, { pair }) => `${amount(volume)} ${pair.split("/")[1] ?? ""}`],
  ["mark", "Mark", ({ mark }, { market }) => (mark ? priced(mark, market) : undefined)],
  ["index", "Index", ({ index }, { market }) => (index ? priced(index, market) : undefined)],
  [
    "funding",
    "Funding / in",
    ({ funding_rate: rate, next_funding_ms: next }, { nowMs }) => {
      if (!rate) return undefined;
      const shown = signed(rate, 4);
      return { ...shown, text: next ? `${shown.text} / ${format.countdown(next - nowMs)}` : shown.text };
    },
  ],
];
