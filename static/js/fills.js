/**
 * The blotter of own executions. Frames may be lost, fills may not: where a frame leaves a hole, the hole is read by
 * REST before the frame is taken in, so every row comes exactly once.
 */

import * as api from "./api.js";
import { feeCell, marketCell, priceText, realisedCell, roleCell, sideCell, sizeText } from "./account-cells.js";
import { AccountTopics, Troubles, emptyNote } from "./account-feed.js";
import { el, setText } from "./dom.js";
import { FillsLog } from "./fills-log.js";
import * as format from "./format.js";
import { Table } from "./table.js";

const SHOWN = 500;
const PAGE = 500;
const OLDER = 100;
const AGAIN_MS = 3000;

export class Fills {
  #app;
  #element;
  #topics;
  #table;
  #troubles = new Troubles();
  #logs = new Map(); // account id -> FillsLog
  #frames = new Map(); // account id -> newest frame not taken in yet
  #catching = new Set(); // account ids with a catch-up under way
  #fresh = new Set(); // keys of rows that came while the page was open
  #problem = "";
  #olderButton = el("button", { class: "button sheet-more", type: "button", hidden: true, text: "Older fills" });
  #note = el("p", { class: "note tag-warn", role: "status", hidden: true, text: "" });

  constructor(app, element) {
    this.#app = app;
    this.#element = element;
    this.#topics = new AccountTopics(app, "fills", (id, frame) => this.#changed(id, frame));
    this.#table = new Table("Fills", this.#columns());
  }

  start() {
    this.#element.append(this.#troubles.element, this.#note, this.#table.element, this.#olderButton);
    this.#olderButton.addEventListener("click", () => this.#readOlder());
    this.#topics.start();
    this.#app.scheduler.ageing(this);
  }

  #changed(id, frame) {
    for (const known of this.#logs.keys()) if (!this.#app.accounts.byId(known)) this.#forget(known);
    if (frame) {
      this.#frames.set(id, frame);
      this.#take(id);
    }
    this.#app.scheduler.invalidate(this);
  }

  #forget(id) {
    this.#logs.delete(id);
    this.#frames.delete(id);
  }

  /** Take the newest frame in, after what is missing before it. */
  async #take(id) {
    if (this.#catching.has(id)) return;
    if (!this.#logs.has(id)) this.#logs.set(id, new FillsLog());
    const log = this.#logs.get(id);
    this.#catching.add(id);
    try {
      while (this.#frames.has(id)) {
        const { data } = this.#frames.get(id);
        const first = log.newest === null;
        if (first) log.older = Boolean(data.more);
        if (log.missingBefore(data) !== null) await this.#catchUp(id, log);
        if (this.#frames.get(id)?.data === data) this.#frames.delete(id);
        this.#merge(id, log, data.fills, first);
      }
      this.#problem = "";
    } catch (error) {
      this.#problem = `Fills are missing below: ${error.message}`;
      setTimeout(() => this.#take(id), AGAIN_MS);
    }
    this.#catching.delete(id);
    this.#app.scheduler.invalidate(this);
  }

  async #catchUp(id, log) {
    for (;;) {
      const page = await api.get("/api/fills/", { account: id, after: log.newest, limit: PAGE });
      this.#merge(id, log, page.fills, false);
      if (!page.more || page.fills.length === 0) return;
    }
  }

  async #readOlder() {
    this.#olderButton.disabled = true;
    try {
      for (const [id, log] of this.#logs) {
        if (!log.mayHaveOlder) continue;
        const page = await api.get("/api/fills/", { account: id, before: log.oldest, limit: OLDER });
        log.merge(page.fills);
        log.older = page.more;
      }
    } catch (error) {
      this.#problem = error.message;
    }
    this.#olderButton.disabled = false;
    this.#app.scheduler.invalidate(this);
  }

  #merge(id, log, rows, first) {
    const added = log.merge(rows);
    if (first) return;
    for (const row of added) this.#fresh.add(`${id} ${row.row}`);
    while (this.#fresh.size > SHOWN) this.#fresh.delete(this.#fresh.values().next().value);
  }

  draw() {
    this.#troubles.show(this.#topics.all());
    const rows = [];
    const markets = this.#app.instruments.list;
    for (const { account, status } of this.#topics.all()) {
      for (const row of this.#logs.get(account.id)?.list() ?? []) rows.push({ account, row, status, markets });
    }
    rows.sort((a, b) => b.row.exchange_ms - a.row.exchange_ms || b.row.row - a.row.row);
    this.#table.draw(rows.slice(0, SHOWN), ({ account, row }) => `${account.id} ${row.row}`, {
      note: rows.length > 0 ? "" : emptyNote(this.#app, this.#topics.all(), "No fills yet"),
      className: ({ status }) => (status.usable ? "" : "stale"),
      fresh: this.#fresh,
      unchanged,
    });
    this.#note.hidden = this.#problem === "";
    setText(this.#note, this.#problem);
    const older = [...this.#logs.values()].some((log) => log.mayHaveOlder);
    this.#olderButton.hidden = !older;
    this.#app.counts.set("fills", rows.length > SHOWN || older ? `${Math.min(rows.length, SHOWN)}+` : rows.length);
  }

  #columns() {
    const app = this.#app;
    return [
      {
        id: "time",
        label: "Time",
        cell: ({ row }) => ({
          text: format.clock(row.exchange_ms, { fraction: true }),
          class: "dim",
          title: `${format.dateTime(row.exchange_ms)} UTC`,
        }),
      },
      { id: "market", label: "Market", cell: ({ row, account, status }) => marketCell(app, row, account, status) },
      { id: "side", label: "Side", cell: ({ row }) => sideCell(row.side) },
      { id: "price", label: "Price", num: true, cell: ({ row, account }) => priceText(app, row, account, row.price) },
      { id: "size", label: "Size", num: true, cell: ({ row, account }) => sizeText(app, row, account, row.size) },
      { id: "notional", label: "Value", num: true, cell: ({ row }) => format.plain(row.notional, 2) },
      { id: "fee", label: "Fee", num: true, cell: ({ row }) => feeCell(row) },
      { id: "realised", label: "Realised", num: true, wide: true, cell: ({ row }) => realisedCell(row) },
      {
        id: "maker",
        label: "Role",
        wide: true,
        cell: ({ row }) => roleCell(row),
      },
    ];
  }
}

/** A fill's row is drawn from these alone, and stays as it is while hundreds of others come. */
function unchanged(before, now) {
  return (
    before.row === now.row &&
    before.account === now.account &&
    before.markets === now.markets &&
    before.status.state === now.status.state &&
    before.status.reason === now.status.reason
  );
}
