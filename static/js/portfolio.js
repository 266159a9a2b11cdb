/** What all accounts are worth together, once a second: the total and how far it may be believed, and what it is made of. */

import { accountName, isSimulated } from "./account-cells.js";
import * as decimal from "./decimal.js";
import { onShown, toggleClass } from "./dom.js";
import * as format from "./format.js";
import { exchangeName } from "./instruments.js";
import { PortfolioHead } from "./portfolio-head.js";
import * as model from "./portfolio-model.js";
import { Table } from "./table.js";

const TABLES = ["accounts", "assets", "holdings", "exposure"];
const SIMULATED = { text: "SIM", class: "tag-sim", title: "Simulated: no real money" };

export class Portfolio {
  #app;
  #parts;
  #head;
  #tables = {};
  #orders = {
    assets: new model.StableOrder(assetKey, (row) => size(row.value)),
    exposure: new model.StableOrder(
      (row) => row.asset,
      (row) => size(row.value),
    ),
    holdings: new model.StableOrder(holdingKey, (row) => size(row.total) * size(row.average)),
  };
  #topic = null;
  #stop = () => {};
  #shown = false;

  /** @param parts {head, body, accounts, assets, holdings, exposure} elements of the template */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
    this.#head = new PortfolioHead(app, parts.head);
    for (const name of TABLES) this.#tables[name] = new Table(LABELS[name], COLUMNS[name](app));
  }

  start() {
    this.#head.start();
    for (const name of TABLES) this.#parts[name].append(this.#tables[name].element);
    onShown(this.#parts.head, (shown) => {
      this.#shown = shown;
      this.#follow();
    });
    this.#app.scheduler.ageing(this);
  }

  /** The server has greeted: it is known who is signed in. */
  greeted(user) {
    const topic = Number.isInteger(user) ? `portfolio:${user}` : null;
    if (topic === this.#topic) return; // what is shown goes on, STALE until it has come again
    this.#topic = topic;
    this.#follow();
  }

  #follow() {
    this.#stop();
    this.#stop = () => {};
    if (this.#shown && this.#topic) this.#stop = this.#app.store.watch(this.#topic, () => this.#app.scheduler.invalidate(this));
    this.#app.scheduler.invalidate(this);
  }

  draw() {
    if (!this.#shown || !this.#topic) return;
    const { store } = this.#app;
    const data = store.data(this.#topic);
    const status = store.status(this.#topic, this.#app.serverUs());
    const standing = model.standing(status, data, store.frame(this.#topic)?.state);
    this.#head.draw(data, standing, status.ageMs, this.#later());
    toggleClass(this.#parts.body, "stale", !data || standing.state === "STALE"); // without data: those of before
    if (data) for (const name of TABLES) this.#drawTable(name, ROWS[name](data));
  }

  /** What an age in the frame has grown by since. */
  #later() {
    return this.#app.laterMs(this.#topic);
  }

  #drawTable(name, rows) {
    const { data } = this.#app.store.frame(this.#topic);
    const later = this.#later();
    const sorted = this.#orders[name] ? this.#orders[name].sort(rows) : rows;
    const entries = sorted.map((row) => ({ row, data, later }));
    this.#tables[name].draw(entries, ({ row }) => KEYS[name](row), {
      note: rows.length > 0 ? "" : EMPTY[name],
      className: ({ row }) => (row.unpriced || row.live === false || (row.state ?? "LIVE") === "STALE" ? "doubtful" : ""),
    });
  }
}

const LABELS = { accounts: "Accounts", assets: "Assets", holdings: "Spot holdings", exposure: "Net exposure" };

const EMPTY = {
  accounts: "No exchange account yet. Add one under Exchange accounts in the menu at the top right.",
  assets: "No balances",
  holdings: "No spot holding whose cost is known",
  exposure: "No exposure",
};

const ROWS = {
  accounts: (data) => data.accounts,
  assets: (data) => [...model.withShares(data.assets), ...data.unpriced.map((row) => ({ ...row, unpriced: true }))],
  holdings: (data) => data.holdings,
  exposure: (data) => data.exposure,
};

const KEYS = {
  accounts: (row) => String(row.account),
  assets: assetKey,
  holdings: holdingKey,
  exposure: (row) => row.asset,
};

const COLUMNS = {
  accounts: (app) => [
    {
      id: "account",
      label: "Account",
      cell: ({ row }) => ({
        text: row.label,
        class: "strong",
        state: row.state,
        sub: exchangeName(row.exchange),
        tags: isSimulated(app, row) ? [SIMULATED] : [],
        title: row.problems.join(" ") || row.state,
      }),
    },
    {
      id: "equity",
      label: "Equity",
      num: true,
      cell: ({ row, data }) => ({
        text: model.money(row.equity, data.currency),
        sub: row.complete ? "" : row.state === "LIVE" ? "incomplete" : row.state,
        subClass: "warn",
        title: row.problems.join(" "),
      }),
    },
    { id: "wallets", label: "Balances", num: true, cell: ({ row, data }) => model.money(row.wallets, data.currency) },
    { id: "unrealised", label: "Unrealised", num: true, cell: ({ row, data }) => profit(row.unrealised, data.currency) },
  ],
  assets: (app) => [
    {
      id: "asset",
      label: "Asset",
      cell: ({ row }) => ({
        text: row.asset,
        class: "strong",
        sub: exchangeName(row.exchange),
        tags: isSimulated(app, row) ? [SIMULATED] : [],
      }),
    },
    { id: "amount", label: "Amount", num: true, cell: ({ row }) => model.amount(row.total) },
    { id: "price", label: "Price", num: true, cell: ({ row, later }) => priceCell(row, later) },
    {
      id: "value",
      label: "Value",
      num: true,
      cell: ({ row, data }) =>
        row.unpriced
          ? { text: format.NONE, sub: "not in the total", subClass: "warn" }
          : {
              text: model.money(row.value, data.currency),
              sub: row.share ? format.percent(row.share, 1, { plus: false }) : "",
              title: "Share of all assets' values",
            },
    },
  ],
  holdings: () => [
    {
      id: "asset",
      label: "Holding",
      cell: ({ row }) => ({ text: row.asset, class: "strong", sub: accountName(row) }),
    },
    {
      id: "size",
      label: "Size",
      num: true,
      cell: ({ row }) => {
        const rest = model.withoutCost(row);
        const text = rest.n > 0n ? `of ${model.amount(row.total)}` : "";
        const why = row.reason || "Of the rest it is not known what it cost";
        return { text: model.amount(row.reason ? row.total : row.size), sub: row.reason ? "" : text, title: text ? why : null };
      },
    },
    {
      id: "average",
      label: "Average cost",
      num: true,
      cell: ({ row }) =>
        row.average === null
          ? { text: format.NONE, sub: "not known", subClass: "warn", title: row.reason }
          : { text: model.unitPrice(row.average), sub: row.currency },
    },
    { id: "price", label: "Price", num: true, cell: ({ row, later }) => priceCell(row, later) },
    {
      id: "unrealised",
      label: "Unrealised",
      num: true,
      cell: ({ row }) => ({
        ...profit(row.unrealised, row.currency),
        sub: row.unrealised_ratio ? format.percent(decimal.parse(row.unrealised_ratio)) : "",
        subClass: model.tone(row.unrealised),
      }),
    },
  ],
  exposure: () => [
    { id: "asset", label: "Asset", cell: ({ row }) => ({ text: row.asset, class: "strong" }) },
    { id: "spot", label: "Spot", num: true, cell: ({ row }) => ({ text: model.amount(row.spot), class: "dim" }) },
    {
      id: "derivatives",
      label: "Derivatives",
      num: true,
      cell: ({ row }) => ({ text: model.amount(row.derivatives), class: "dim" }),
    },
    { id: "net", label: "Net", num: true, cell: ({ row }) => model.amount(row.net) },
    {
      id: "value",
      label: "Value",
      num: true,
      cell: ({ row, data }) =>
        row.value === null ? { text: "no price", class: "warn" } : model.money(row.value, data.currency),
    },
  ],
};

function priceCell(row, later) {
  if (row.unpriced) return { text: "no price", class: "warn", title: "No market leads to a price" };
  const { text, title, stale } = model.source(row, later);
  return { text: model.unitPrice(row.price), sub: text, subClass: stale ? "warn" : "", title };
}

function profit(text, currency) {
  if (text === null || text === undefined) return { text: format.NONE, class: "dim" };
  return { text: model.money(text, currency, { plus: true }), class: model.tone(text) || "dim" };
}

function assetKey(row) {
  return `${row.exchange} ${row.asset} ${row.unpriced ? row.account : ""}`;
}

function holdingKey(row) {
  return `${row.account} ${row.asset} ${row.currency}`;
}

/** For sorting only; what has no value comes last. */
function size(text) {
  return text === null || text === undefined ? -1 : Math.abs(decimal.toNumber(decimal.parse(text)));
}
