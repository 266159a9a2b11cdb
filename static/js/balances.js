/** Balances of all accounts, with their value from the mids of our own usable quotes, and the total of what has one. */

import { accountName, ageCell, isSimulated, stateTitle } from "./account-cells.js";
import { AccountTopics, Troubles, emptyNote } from "./account-feed.js";
import * as decimal from "./decimal.js";
import { el, setText } from "./dom.js";
import * as format from "./format.js";
import { keyOf } from "./instruments.js";
import { Table } from "./table.js";
import { midOfQuote, quotesNeeded, value } from "./valuation.js";

const TARGET = "USDT";
const MOST_QUOTES = 60;

export class Balances {
  #app;
  #element;
  #topics;
  #table;
  #troubles = new Troubles();
  #routes = new Map();
  #routesFor = "";
  #stops = new Map(); // key of a market -> function that ends the watching of its quote
  #order = new Map(); // key of a row -> its place, kept so that rows do not jump as values move
  #total = el("span", { class: "balance-total num", text: "" });
  #unpriced = el("span", { class: "balance-unpriced", text: "" });

  constructor(app, element) {
    this.#app = app;
    this.#element = element;
    this.#topics = new AccountTopics(app, "balances", () => app.scheduler.invalidate(this));
    this.#table = new Table("Balances", this.#columns());
  }

  start() {
    this.#element.append(
      this.#troubles.element,
      el("p", { class: "balance-head" }, this.#total, this.#unpriced),
      this.#table.element,
    );
    this.#topics.start();
    this.#app.instruments.addEventListener("change", () => (this.#routesFor = ""));
    this.#app.scheduler.ageing(this);
  }

  draw() {
    this.#troubles.show(this.#topics.all());
    const rows = this.#rows();
    this.#follow(rows);
    const worth = this.#value(rows);
    const shown = this.#sorted(rows.map((entry) => ({ ...entry, price: worth.prices.get(entry.row.asset) ?? null })));
    this.#table.draw(shown, rowKey, {
      note: rows.length > 0 ? "" : emptyNote(this.#app, this.#topics.all(), "No balances"),
      className: ({ status }) => (status.usable ? "" : "stale"),
    });
    const missing = [];
    if (worth.unpriced.length > 0) missing.push(`unpriced: ${worth.unpriced.join(", ")}`);
    if (worth.notCurrent > 0)
      missing.push(`not current: ${worth.notCurrent} ${worth.notCurrent === 1 ? "balance" : "balances"}`);
    setText(this.#total, rows.length > 0 ? `Total ${totalText(worth)}` : "");
    setText(this.#unpriced, missing.length > 0 ? `Not in the total, ${missing.join("; ")}` : "");
    this.#app.counts.set("balances", rows.length);
    this.#app.summary.show(rows.length > 0 ? totalText(worth) : "", worth.unpriced.length + worth.notCurrent);
  }

  #rows() {
    const result = [];
    for (const { account, data, status, sinceMs } of this.#topics.all()) {
      for (const row of data?.balances ?? []) {
        if (decimal.parse(row.total).n !== 0n) result.push({ account, row, status, sinceMs });
      }
    }
    return result;
  }

  /** Balances that are not current are shown, but take no part in the total. */
  #value(rows) {
    const current = rows.filter(({ status }) => status.usable).map(({ row }) => row);
    return {
      ...value(current, this.#routes, (market) => this.#mid(market), TARGET),
      notCurrent: rows.length - current.length,
    };
  }

  #mid(market) {
    const topic = `quote:${keyOf(market.exchange, market.symbol)}`;
    if (!this.#app.store.status(topic, this.#app.serverUs()).usable) return null;
    return midOfQuote(this.#app.store.data(topic));
  }

  /** Watch the quotes that value these assets, and no others. */
  #follow(rows) {
    const assets = [...new Set(rows.map(({ row }) => row.asset))].sort();
    const wanted = assets.join();
    if (wanted === this.#routesFor || this.#app.instruments.list.length === 0) return;
    this.#routesFor = wanted;
    this.#routes = quotesNeeded(assets, this.#app.instruments.list, { target: TARGET });
    const keys = new Set();
    for (const legs of this.#routes.values())
      for (const { market } of legs) if (keys.size < MOST_QUOTES) keys.add(keyOf(market.exchange, market.symbol));
    for (const [key, stop] of this.#stops) {
      if (keys.has(key)) continue;
      stop();
      this.#stops.delete(key);
    }
    for (const key of keys) {
      if (!this.#stops.has(key))
        this.#stops.set(
          key,
          this.#app.store.watch(`quote:${key}`, () => {}),
        );
    }
  }

  /** By value when a row is first seen; a row keeps its place from then on. */
  #sorted(rows) {
    const keys = new Set(rows.map(rowKey));
    const known =
      [...this.#order.keys()].every((key) => keys.has(key)) && rows.every((row) => this.#order.has(rowKey(row)));
    if (!known) {
      const worth = ({ row, price }) =>
        price ? decimal.toNumber(decimal.multiply(decimal.parse(row.total), price)) : -1;
      const sorted = rows.toSorted((a, b) => worth(b) - worth(a) || rowKey(a).localeCompare(rowKey(b)));
      this.#order = new Map(sorted.map((row, i) => [rowKey(row), i]));
    }
    return rows.toSorted((a, b) => this.#order.get(rowKey(a)) - this.#order.get(rowKey(b)));
  }

  #columns() {
    return [
      {
        id: "asset",
        label: "Asset",
        cell: ({ row, account, status }) => ({
          text: row.asset,
          class: "strong",
          tags: isSimulated(this.#app, account)
            ? [{ text: "SIM", class: "tag-sim", title: "Simulated: no real money" }]
            : [],
          sub: `${accountName(account)} · ${row.product}`,
          title: stateTitle(status),
        }),
      },
      { id: "total", label: "Total", num: true, cell: ({ row }) => amount(row.total) },
      { id: "free", label: "Free", num: true, cell: ({ row }) => amount(row.free) },
      { id: "locked", label: "Locked", num: true, wide: true, cell: ({ row }) => amount(row.locked) },
      {
        id: "value",
        label: `Value (${TARGET})`,
        num: true,
        cell: ({ row, price, status }) => valueCell(row, price, status),
      },
      { id: "age", label: "Age", num: true, cell: ({ row, sinceMs, status }) => ageCell(row.age_ms, sinceMs, status) },
    ];
  }
}

const rowKey = ({ account, row }) => `${account.id} ${row.product} ${row.asset}`;

/** The sum of what has a value now; a dash where nothing has. */
function totalText({ total, prices }) {
  return `${prices.size > 0 ? format.fixed(total, 2) : format.NONE} ${TARGET}`;
}

/** At least eight places, so that the points stand below each other; what says nothing is dimmed. */
function amount(text) {
  if (text === null || text === undefined) return format.NONE;
  const d = decimal.parse(text);
  const [said, zeros] = format.split(format.fixed(d, Math.max(8, d.places)));
  return { text: said, zeros };
}

function valueCell(row, price, status) {
  if (!status.usable) return { text: "not current", class: "dim" };
  if (!price) return { text: "unpriced", class: "dim", title: "No usable quote of ours leads to a price" };
  return format.fixed(decimal.multiply(decimal.parse(row.total), price), 2);
}
