/** Open positions with live unrealised profit, its ratio, the mark behind it and how old that is. */

import { ageCell, marketCell, roundedPrice, sizeText } from "./account-cells.js";
import { AccountTopics, Troubles, emptyNote } from "./account-feed.js";
import * as decimal from "./decimal.js";
import * as format from "./format.js";
import { distance, isLong, marginText } from "./positions-model.js";
import { Table } from "./table.js";

const MARK_OLD_MS = 5000;

export class Positions {
  #app;
  #element;
  #topics;
  #table;
  #troubles = new Troubles();

  constructor(app, element) {
    this.#app = app;
    this.#element = element;
    this.#topics = new AccountTopics(app, "positions", () => app.scheduler.invalidate(this));
    this.#table = new Table("Open positions", this.#columns());
  }

  start() {
    this.#element.append(this.#troubles.element, this.#table.element);
    this.#topics.start();
    this.#app.scheduler.ageing(this);
  }

  /** Unrealised profit by its asset, of usable figures only: Map asset -> Dec. */
  unrealised() {
    const sums = new Map();
    for (const { row, stale } of this.#rows()) {
      if (stale || row.unrealised === null || row.unrealised === undefined) continue;
      const asset = row.unrealised_asset ?? "";
      sums.set(asset, decimal.add(sums.get(asset) ?? decimal.ZERO, decimal.parse(row.unrealised)));
    }
    return sums;
  }

  get count() {
    return this.#rows().length;
  }

  draw() {
    this.#troubles.show(this.#topics.all());
    const rows = this.#rows();
    this.#table.draw(rows, ({ account, row }) => `${account.id} ${row.product} ${row.symbol} ${row.side} ${row.apart}`, {
      note: rows.length > 0 ? "" : emptyNote(this.#app, this.#topics.all(), "No open positions"),
      className: ({ status }) => (status.usable ? "" : "stale"),
    });
    this.#app.counts.set("positions", rows.length);
  }

  #rows() {
    const result = [];
    for (const { account, data, status, sinceMs } of this.#topics.all()) {
      for (const row of data?.positions ?? []) {
        if (decimal.parse(row.size).n === 0n) continue;
        const markAgeMs = Number.isFinite(row.mark_age_ms) ? row.mark_age_ms + sinceMs : Number.NaN;
        result.push({ account, row, status, sinceMs, markAgeMs, stale: !status.usable || !(markAgeMs < MARK_OLD_MS) });
      }
    }
    return result;
  }

  #columns() {
    const app = this.#app;
    return [
      { id: "market", label: "Market", cell: ({ row, account, status }) => marketCell(app, row, account, status) },
      { id: "side", label: "Side", cell: ({ row }) => direction(row) },
      { id: "size", label: "Size", num: true, cell: ({ row, account }) => sizeText(app, row, account, row.size) },
      {
        id: "entry",
        label: "Entry",
        num: true,
        cell: ({ row, account }) => roundedPrice(app, row, account, row.entry),
      },
      {
        id: "mark",
        label: "Mark",
        num: true,
        cell: ({ row, account, stale, markAgeMs }) => ({
          ...roundedPrice(app, row, account, row.mark),
          class: stale ? "dim" : "",
          sub: row.mark === null ? "" : stale ? `STALE ${format.age(markAgeMs)}` : format.age(markAgeMs),
          subClass: stale ? "warn" : "",
        }),
      },
      { id: "unrealised", label: "Unrealised", num: true, cell: ({ row, stale }) => profit(row, stale) },
      {
        id: "liquidation",
        label: "Liquidation",
        num: true,
        title: "Price, and how far the mark may move against the position until then",
        cell: ({ row, account, stale }) => {
          const { text, level } = distance(row, stale);
          const shown = roundedPrice(app, row, account, row.liquidation);
          return { ...shown, class: level, sub: text, subClass: level };
        },
      },
      { id: "margin", label: "Margin", num: true, cell: ({ row }) => marginText(row) },
      {
        id: "age",
        label: "Age",
        num: true,
        wide: true,
        cell: ({ row, sinceMs, status }) => ageCell(row.age_ms, sinceMs, status),
      },
    ];
  }
}

/** "both" is the one position of a market; in hedge mode each side is a position of its own. */
function direction(row) {
  const long = isLong(row);
  const hedged = row.side === "long" || row.side === "short";
  return { text: long ? "Long" : "Short", class: long ? "buy up" : "sell down", sub: hedged ? "hedge mode" : "" };
}

function profit(row, stale) {
  if (row.unrealised === null || row.unrealised === undefined) return format.NONE;
  const amount = decimal.parse(row.unrealised);
  const colour = stale ? "dim" : amount.n > 0n ? "buy" : amount.n < 0n ? "sell" : "";
  const ratio = decimal.parseOrNull(row.unrealised_ratio);
  return {
    text: `${format.fixed(amount, 2, { plus: true })} ${row.unrealised_asset ?? ""}`.trim(),
    class: colour,
    sub: ratio ? format.percent(ratio) : "",
    subClass: colour,
  };
}
