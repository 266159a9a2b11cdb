/** Open orders; also tells the ladder where they stand. */

import { ageCell, marketCell, priceText, sideCell, sizeText } from "./account-cells.js";
import { AccountTopics, Troubles, emptyNote } from "./account-feed.js";
import * as decimal from "./decimal.js";
import * as format from "./format.js";
import { splitKey } from "./instruments.js";
import { Table } from "./table.js";

const OPEN = new Set(["open", "partial"]);

export class Orders {
  #app;
  #element;
  #topics;
  #table;
  #troubles = new Troubles();
  #watchers = new Set();

  constructor(app, element) {
    this.#app = app;
    this.#element = element;
    this.#topics = new AccountTopics(app, "orders", () => {
      app.scheduler.invalidate(this);
      for (const changed of this.#watchers) changed();
    });
    this.#table = new Table("Open orders", this.#columns());
  }

  start() {
    this.#element.append(this.#troubles.element, this.#table.element);
    this.#topics.start();
    this.#app.scheduler.ageing(this);
  }

  /** Call `changed` when orders may have changed; returns the function that ends it. */
  watch(changed) {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Open orders with a price in this market, of accounts that are followed now. */
  openAt(key) {
    const [exchange, symbol] = splitKey(key);
    return this.#rows()
      .filter(
        ({ account, row, status }) =>
          status.usable && account.exchange === exchange && row.symbol === symbol && row.price,
      )
      .map(({ row }) => row);
  }

  draw() {
    this.#troubles.show(this.#topics.all());
    const rows = this.#rows();
    this.#table.draw(rows, ({ account, row }) => `${account.id} ${row.symbol} ${row.id}`, {
      note: rows.length > 0 ? "" : emptyNote(this.#app, this.#topics.all(), "No open orders"),
      className: ({ status }) => (status.usable ? "" : "stale"),
    });
    this.#app.counts.set("orders", rows.length);
  }

  #rows() {
    const result = [];
    for (const { account, data, status, sinceMs } of this.#topics.all()) {
      for (const row of data?.orders ?? []) if (OPEN.has(row.status)) result.push({ account, row, status, sinceMs });
    }
    return result;
  }

  #columns() {
    const app = this.#app;
    return [
      { id: "market", label: "Market", cell: ({ row, account, status }) => marketCell(app, row, account, status) },
      { id: "side", label: "Side", cell: ({ row }) => sideCell(row.side) },
      {
        id: "type",
        label: "Type",
        wide: true,
        cell: ({ row }) => ({
          text: row.type.replaceAll("_", " "),
          sub: [row.time_in_force, row.reduce_only ? "reduce only" : ""].filter(Boolean).join(" · "),
        }),
      },
      { id: "price", label: "Price", num: true, cell: ({ row, account }) => priceText(app, row, account, row.price) },
      { id: "size", label: "Size", num: true, cell: ({ row, account }) => sizeText(app, row, account, row.size) },
      {
        id: "filled",
        label: "Filled",
        num: true,
        cell: ({ row, account }) => ({ text: sizeText(app, row, account, row.filled), sub: filledShare(row) }),
      },
      { id: "status", label: "Status", cell: ({ row }) => row.status },
      {
        id: "created",
        label: "Created",
        num: true,
        wide: true,
        cell: ({ row }) => ({
          text: format.clock(row.created_ms ?? row.updated_ms),
          class: "dim",
          title: format.dateTime(row.created_ms ?? row.updated_ms),
        }),
      },
      {
        id: "age",
        label: "Age",
        num: true,
        wide: true,
        cell: ({ row, sinceMs, status }) => ageCell(row.age_ms, sinceMs, status),
      },
      { id: "cancel", label: "", cell: ({ row }) => ({ text: "", action: app.cancelling.action(row) }) },
    ];
  }
}

function filledShare(row) {
  const size = decimal.parse(row.size);
  if (size.n === 0n) return "";
  return format.percent(decimal.divide(decimal.parse(row.filled), size, 4), 0, { plus: false });
}
