/** The consolidated ladder's fixed pool of rows, and its middle. Rows are made once and patched. */

import { el, setAttribute, setText, toggleClass } from "./dom.js";
import { ExchangeTag } from "./exchange-tag.js";
import { exchangeColour } from "./exchanges.js";
import * as format from "./format.js";
import { ROWS, digits } from "./ladder-rows.js";

export class AcrossRows {
  asks = [];
  bids = [];
  middle = new AcrossMiddle();

  constructor() {
    // asks[0] and bids[0] are the best: both stand next to the middle.
    for (let i = 0; i < ROWS; i += 1) {
      this.asks.push(new Row("ask", i));
      this.bids.push(new Row("bid", i));
    }
    this.element = el(
      "div",
      { class: "ladder-rows", role: "table", "aria-label": "Order book of all exchanges" },
      ...this.asks.toReversed().map((row) => row.element),
      this.middle.element,
      ...this.bids.map((row) => row.element),
    );
  }

  /** @param model of across-model.build, null to clear  @param told {legs, names, marks, isBand(row, isBid)} */
  draw(model, told) {
    for (let i = 0; i < ROWS; i += 1) {
      this.asks[i].draw(model?.asks[i] ?? null, told, told?.marks.asks.get(i));
      this.bids[i].draw(model?.bids[i] ?? null, told, told?.marks.bids.get(i));
    }
  }

  at(side, index) {
    return (side === "ask" ? this.asks : this.bids)[index];
  }
}

class Row {
  #isBid;
  #shown = false;
  #ground = "";
  #parts = el("i", { class: "ladder-parts", "aria-hidden": "true" });
  #own = el("i", { class: "ladder-own", hidden: true });
  #price;
  #tag = new ExchangeTag("short");
  #more = el("span", { class: "ladder-more", text: "" });
  #where = el("span", { class: "ladder-where", role: "cell", hidden: true }, this.#tag.element, this.#more);
  #size = digits("ladder-size");
  #total = digits("ladder-total");

  constructor(side, index) {
    this.#isBid = side === "bid";
    this.#price = el("span", { class: `ladder-price ${this.#isBid ? "buy" : "sell"}`, role: "cell", text: "" });
    this.element = el(
      "div",
      { class: "ladder-row num", role: "row", "data-side": side, "data-index": index },
      this.#parts,
      this.#own,
      this.#price,
      this.#where,
      this.#size.element,
      this.#total.element,
    );
  }

  draw(row, told, own) {
    if (this.#own.hidden !== !own) this.#own.hidden = !own;
    if (own) setAttribute(this.#own, "title", own.text);
    if (!row && !this.#shown) return;
    this.#shown = Boolean(row);
    setText(this.#price, row?.priceText ?? "");
    this.#size.show(row?.sizeText ?? "");
    this.#total.show(row?.totalText ?? "");
    toggleClass(this.element, "band", row && told.isBand(row, this.#isBid));
    this.#where.hidden = !row;
    if (row) this.#drawWhere(row, told);
    this.#paint(row ? groundOf(row.parts, told.legs) : "");
  }

  #drawWhere({ where, shares }, { legs, names }) {
    this.#tag.show(legs[where[0]].exchange, names[where[0]]);
    setText(this.#more, where.length > 1 ? `+${where.length - 1}` : "");
    const each = shares.map(([i, size]) => `${names[i].long} ${format.fixed(size)}`);
    setAttribute(this.#where, "title", each.join("\n"));
  }

  #paint(ground) {
    if (ground === this.#ground) return;
    this.#ground = ground;
    this.#parts.style.background = ground;
  }
}

/** A bar from the right edge, one piece for each exchange, as a gradient with hard stops. */
function groundOf(parts, legs) {
  if (parts.length === 0) return "";
  const percent = (ratio) => `${Math.round(ratio * 10000) / 100}%`;
  const stops = parts.map(
    ([i, from, to]) => `var(--ex-bar-${exchangeColour(legs[i].exchange)}) ${percent(from)} ${percent(to)}`,
  );
  return `linear-gradient(to left, ${stops.join(", ")}, transparent ${percent(parts.at(-1)[2])})`;
}

/** Best ask, spread or band, best bid; mid, microprice. Sticks to the nearer edge when scrolled. */
class AcrossMiddle {
  #ask = new Best("sell");
  #bid = new Best("buy");
  #mid = el("span", { class: "mid-mid num", text: "" });
  #micro = el("span", {
    class: "mid-mid num",
    text: "",
    title: "Microprice: the mid weighted by the sizes at the best prices, towards the side that is smaller",
  });
  #label = el("span", { class: "mid-label", text: "" });
  #buy = new ExchangeTag("short");
  #sell = new ExchangeTag("short");
  #route = el("span", { class: "mid-route" }, this.#buy.element, el("span", { text: "→" }), this.#sell.element);
  #width = el("span", { class: "mid-width num", text: "" });
  #line = el("span", { class: "mid-line" }, this.#label, this.#route, this.#width);

  element = el(
    "div",
    { class: "ladder-middle across-middle", role: "row" },
    el("span", { class: "mid-line", role: "cell" }, this.#ask.element, this.#mid),
    this.#line,
    el("span", { class: "mid-line", role: "cell" }, this.#bid.element, this.#micro),
  );

  /** @param figures of across-model.figures, null to clear  @param told {legs, names, base} */
  draw(figures, told) {
    this.#ask.draw(figures?.ask, told);
    this.#bid.draw(figures?.bid, told);
    setText(this.#mid, figures?.mid ? `Mid ${format.price(figures.mid)}` : "");
    setText(this.#micro, figures?.micro ? `Micro ${format.price(figures.micro)}` : "");
    const band = figures?.band ?? null;
    toggleClass(this.element, "band", band);
    this.#route.hidden = !band;
    setText(this.#label, band ? "Band" : figures?.mid ? "Spread" : "No spread");
    if (band) {
      this.#buy.show(told.legs[band.buy].exchange, told.names[band.buy]);
      this.#sell.show(told.legs[band.sell].exchange, told.names[band.sell]);
      const size = format.fixed(band.size, Math.min(band.size.places, 5));
      setText(this.#width, `${format.fixed(band.bps, 2)}\u2009bps · ${size} ${told.base}`);
    } else setText(this.#width, figures?.mid ? spreadText(figures) : "");
    setAttribute(
      this.#line,
      "title",
      band
        ? `Exchanges cross: one bids ${format.price(band.high)}, another asks ${format.price(band.low)}. ` +
            "Before fees; the size is what the bids and asks that are shown would take of one another."
        : null,
    );
  }
}

function spreadText({ bid, ask, mid }) {
  const n = ask.price.n - bid.price.n;
  const spread = { n, places: ask.price.places };
  return `${format.fixed(spread)} · ${format.bpsText(format.basisPoints(spread, mid))}`;
}

/** A best price with the exchange that has it. */
class Best {
  #price;
  #tag = new ExchangeTag("short");
  #more = el("span", { class: "ladder-more", text: "" });

  constructor(side) {
    this.#price = el("span", { class: `mid-best num ${side}`, text: "" });
    this.element = el("span", { class: "mid-side" }, this.#price, this.#tag.element, this.#more);
  }

  draw(best, told) {
    setText(this.#price, best ? format.price(best.price) : format.NONE);
    this.#tag.element.hidden = !best;
    setText(this.#more, best && best.legs.length > 1 ? `+${best.legs.length - 1}` : "");
    if (!best) return;
    this.#tag.show(told.legs[best.legs[0]].exchange, told.names[best.legs[0]]);
    setAttribute(this.element, "title", best.legs.map((i) => told.names[i].long).join(", "));
  }
}
