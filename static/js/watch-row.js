/** One market of the list: state, name, price, spread, change of the day. Made once and patched. */

import { sentence, viaTag } from "./badge.js";
import * as decimal from "./decimal.js";
import { el, setAttribute, setText, toggleClass } from "./dom.js";
import * as format from "./format.js";
import { exchangeName, splitKey } from "./instruments.js";
import { ticksOf } from "./ladder-model.js";
import { midOfQuote } from "./valuation.js";

export class WatchRow {
  #app;
  #key;
  #topic;
  #stopWatching;
  #last = null;
  #direction = "flat";
  #light = el("i", { class: "light", "aria-hidden": "true" });
  #state = el("span", { class: "watch-state", text: "" });
  #spread = el("span", { class: "watch-spread num", text: "" });
  #price = el("span", { class: "watch-price num", text: "" });
  #change = el("span", { class: "watch-change num", text: "" });
  #sim = el("span", { class: "tag tag-sim", text: "SIM", title: "Simulated: no real market", hidden: true });
  #replay = el("span", { class: "tag tag-replay", text: "REPLAY", title: "Of a recording: not live", hidden: true });
  #via = viaTag();

  constructor(app, key, changed) {
    const [exchange, symbol] = splitKey(key);
    this.#app = app;
    this.#key = key;
    this.#topic = `quote:${key}`;
    const [pair, settle] = symbol.split(":");
    const name = el("span", { class: "watch-name" }, this.#light, el("span", { class: "watch-symbol", text: pair }));
    if (settle) name.append(el("span", { class: "tag", text: "PERP", title: `Perpetual, settled in ${settle}` }));
    name.append(this.#via, this.#sim, this.#replay);
    this.button = el(
      "button",
      {
        class: "watch-button",
        type: "button",
        "aria-label": `${pair}${settle ? " perpetual" : ""}, ${exchangeName(exchange)}`,
      },
      name,
      this.#price,
      el("span", { class: "watch-second" }, this.#state, this.#spread),
      this.#change,
    );
    const remove = el("button", {
      class: "watch-remove",
      type: "button",
      "aria-label": `Take ${pair} off the list`,
      title: "Take off the list",
      text: "×",
    });
    this.element = el("li", { class: "watch-row", "data-key": key }, this.button, remove);
    this.#stopWatching = app.store.watch(this.#topic, changed);
  }

  stop() {
    this.#stopWatching();
    this.element.remove();
  }

  draw(serverUs) {
    const status = this.#app.store.status(this.#topic, serverUs);
    const data = this.#app.store.data(this.#topic);
    const market = this.#app.instruments.get(this.#key);
    this.#via.hidden = market?.via !== "ccxt";
    this.#sim.hidden = !(market?.simulated || this.#app.store.isSimulated(splitKey(this.#key)[0]));
    this.#replay.hidden = !this.#app.store.replay;
    setAttribute(this.button, "data-state", status.state);
    setAttribute(this.#light.parentElement, "data-state", status.state);
    setAttribute(this.button, "title", sentence(status));
    toggleClass(this.element, "stale", !status.usable);
    setText(
      this.#state,
      status.usable
        ? format.age(status.ageMs)
        : `${status.state}${status.ageMs === null ? "" : ` ${format.age(status.ageMs)}`}`,
    );
    const shown = status.empty ? null : data;
    this.#drawPrice(shown, market);
    setText(this.#spread, status.usable ? spreadText(shown, market) : "");
    this.#drawChange(shown);
  }

  #drawPrice(data, market) {
    const last = decimal.parseOrNull(data?.last ?? null);
    if (last && this.#last) {
      const order = decimal.compare(last, this.#last);
      if (order !== 0) this.#direction = order > 0 ? "up" : "down";
    }
    if (last) this.#last = last;
    const colour = this.#direction === "up" ? "buy" : this.#direction === "down" ? "sell" : "";
    setText(this.#price, last ? format.price(last, market ? format.placesOf(market.tick) : undefined) : format.NONE);
    setAttribute(this.#price, "class", `watch-price num ${last ? `${colour} ${this.#direction}` : "dim"}`);
  }

  #drawChange(data) {
    const change = decimal.parseOrNull(data?.change ?? null);
    setText(this.#change, change ? format.percent(change) : "");
    setAttribute(
      this.#change,
      "class",
      `watch-change num ${!change || change.n === 0n ? "dim" : change.n > 0n ? "buy" : "sell"}`,
    );
  }
}

/** "1 tick · 0.16 bps"; nothing if a side is missing or the quote is crossed. */
function spreadText(data, market) {
  if (!data?.bid || !data.ask) return "";
  const bid = decimal.parse(data.bid);
  const ask = decimal.parse(data.ask);
  const spread = decimal.subtract(ask, bid);
  if (spread.n <= 0n) return "";
  const ticks = ticksOf(spread, market?.tick);
  const bps = format.basisPoints(spread, midOfQuote(data));
  return `${ticks} ${ticks === "1" ? "tick" : "ticks"} · ${format.bpsText(bps)}`;
}
