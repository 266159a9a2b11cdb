/** The stream panel: every connection, market and account with its state, rates, delays and troubles. */

import { AccountTopics } from "./account-feed.js";
import { VIA_CCXT, sentence } from "./badge.js";
import { el, setText } from "./dom.js";
import * as format from "./format.js";
import { exchangeName } from "./instruments.js";
import { usable } from "./states.js";
import { grouped, remarkable } from "./stream-groups.js";
import { Table } from "./table.js";

export class Streams {
  #app;
  #body;
  #worker;
  #connections;
  #markets;
  #accounts;
  #topics;
  #open = new Set(); // exchanges whose connections are all listed
  #notices = el("p", { class: "note tag-warn", role: "note", hidden: true, text: "" });

  constructor(app, body, worker) {
    this.#app = app;
    this.#body = body;
    this.#worker = worker;
    this.#connections = new Table("Connections", this.#connectionColumns());
    this.#markets = new Table("Markets", MARKET_COLUMNS);
    this.#accounts = new Table("Accounts", ACCOUNT_COLUMNS);
    this.#topics = new AccountTopics(app, "balances", () => app.scheduler.invalidate(this));
  }

  start() {
    this.#body.append(this.#notices, this.#connections.element, this.#markets.element, this.#accounts.element);
    this.#connections.element.addEventListener("click", (event) => this.#toggle(event));
    this.#connections.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") this.#toggle(event);
    });
    this.#topics.start();
    this.#app.store.watch("streams", () => this.#app.scheduler.invalidate(this));
    this.#app.scheduler.ageing(this);
  }

  draw() {
    const { store } = this.#app;
    const status = store.status("streams", this.#app.serverUs());
    const data = store.data("streams");
    const sinceMs = store.sinceArrival("streams");
    // While this panel's own frame is old, nothing in it may look live.
    const told = (row) =>
      status.usable || !usable(row.state) ? row : { ...row, state: "STALE", reason: "", panelOld: true };
    const late = (list) => (list ?? []).map((row) => ({ row: told(row), sinceMs, status }));
    const className = ({ row }) => (status.usable && usable(row.state) ? "" : "stale");
    const shown = grouped((data?.connections ?? []).map(told), this.#open);
    const connections = shown.map((row) => ({ row, sinceMs, status }));
    this.#connections.draw(connections, ({ row }) => `${row.exchange} ${row.route ?? ""} ${row.number ?? ""}`, {
      className: (each) => `${className(each)} ${each.row.group ? "group" : each.row.child ? "child" : ""}`.trim(),
      attributes: ({ row: { group, exchange } }) => ({
        "data-exchange": group ? exchange : null,
        tabindex: group ? "0" : null,
        "aria-expanded": group ? String(this.#open.has(exchange)) : null,
      }),
      note: connections.length === 0 ? `${status.state}${status.reason ? `: ${status.reason}` : ""}` : "",
    });
    this.#markets.draw(late(data?.markets), ({ row }) => `${row.exchange}:${row.symbol}`, { className });
    this.#drawAccounts();
    const notices = (data?.exchanges ?? []).filter((row) => row.notice).map(noticeText);
    this.#notices.hidden = notices.length === 0;
    setText(this.#notices, notices.join(" · "));
    const troubled = (data?.markets ?? []).filter((row) => !usable(row.state)).length;
    this.#app.counts.set("streams", troubled > 0 ? `${troubled} not live` : "");
    setText(
      this.#worker,
      status.usable ? workerText(data.worker) : `${status.state} ${format.age(status.ageMs ?? Number.NaN)}`,
    );
  }

  /** Opens or closes the exchange whose row was clicked. */
  #toggle(event) {
    const exchange = event.target.closest?.("tr")?.dataset.exchange;
    if (!exchange) return;
    event.preventDefault();
    if (!this.#open.delete(exchange)) this.#open.add(exchange);
    this.#app.scheduler.invalidate(this);
  }

  #drawAccounts() {
    const rows = this.#topics.all().map(({ account, status }) => ({
      status,
      row: { ...account, state: status.state, reason: status.reason || account.sentence },
    }));
    this.#accounts.draw(rows, ({ row }) => String(row.id), {
      className: ({ status }) => (status.usable ? "" : "stale"),
    });
    this.#accounts.element.hidden = rows.length === 0;
  }

  #connectionColumns() {
    const { delays } = this.#app;
    return [
      {
        id: "stream",
        label: "Connection",
        cell: ({ row }) => (row.group ? groupCell(row) : connectionCell(row)),
      },
      {
        id: "rate",
        label: "Msg/s",
        num: true,
        cell: ({ row }) => row.messages_per_s.toFixed(row.messages_per_s < 10 ? 1 : 0),
      },
      {
        id: "latency",
        label: "In ms",
        title: "Exchange to worker, milliseconds: middle and slowest percent",
        num: true,
        cell: ({ row }) => ({
          text: pairText(row.latency_ms?.p50, row.latency_ms?.p99),
          class: row.late_since_ms > 0 ? "warn" : row.latency_ms ? "" : "dim",
        }),
      },
      {
        id: "browser",
        label: "Out ms",
        title: "Worker to this browser, milliseconds: middle and slowest percent",
        num: true,
        cell: ({ row }) => (row.child ? { text: "" } : pair(...delays.of(row.exchange))),
      },
      {
        id: "overhead",
        label: "Worker ms",
        title: "Inside the worker, conflation apart: middle and slowest percent",
        num: true,
        wide: true,
        cell: ({ row }) => (row.child ? { text: "" } : pair(row.overhead_ms?.p50, row.overhead_ms?.p99)),
      },
      { id: "reconnects", label: "Rec.", title: "Reconnects", num: true, cell: ({ row }) => count(row.reconnects) },
      {
        id: "dropped",
        label: "Dropped",
        title: "Frames dropped because the worker's buffer was full",
        num: true,
        wide: true,
        cell: ({ row }) => count(row.dropped),
      },
      { id: "unknown", label: "Not understood", num: true, wide: true, cell: ({ row }) => count(row.not_understood) },
      {
        id: "messages",
        label: "Messages",
        num: true,
        wide: true,
        cell: ({ row }) => format.grouped(String(row.messages)),
      },
    ];
  }
}

const MARKET_COLUMNS = [
  {
    id: "market",
    label: "Market",
    cell: ({ row }) => ({
      text: row.symbol.split(":")[0],
      note: exchangeName(row.exchange),
      state: row.state,
      tags: [
        ...(row.symbol.includes(":") ? [{ text: "PERP" }] : []),
        ...(row.via === "ccxt" ? [{ text: "CCXT", title: VIA_CCXT }] : []),
        ...(row.simulated ? [{ text: "SIM", class: "tag-sim", title: "Simulated: no real market" }] : []),
        ...(row.replay ? [{ text: "REPLAY", class: "tag-replay", title: "Of a recording: not live" }] : []),
      ],
      title: `${sentence(row)}, ${since(row)}`,
      ...trouble(row),
    }),
  },
  {
    id: "state",
    label: "State",
    wide: true,
    cell: ({ row }) => ({ text: row.state, class: usable(row.state) ? "dim" : "warn" }),
  },
  {
    id: "age",
    label: "Age",
    num: true,
    cell: ({ row, sinceMs }) => ({
      text: format.age(row.age_ms === null ? Number.NaN : row.age_ms + sinceMs),
      class: "dim",
    }),
  },
  { id: "resyncs", label: "Resyncs", num: true, cell: ({ row }) => count(row.resyncs) },
  { id: "differences", label: "Differences", num: true, wide: true, cell: ({ row }) => count(row.differences) },
  {
    id: "seq",
    label: "Last update id",
    num: true,
    wide: true,
    cell: ({ row }) => ({ text: row.seq === null ? format.NONE : String(row.seq), class: "dim" }),
  },
  {
    id: "pinned",
    label: "Opened",
    wide: true,
    cell: ({ row }) => ({ text: row.pinned ? "pinned" : "on demand", class: "dim" }),
  },
];

const ACCOUNT_COLUMNS = [
  {
    id: "account",
    label: "Account",
    cell: ({ row }) => ({
      text: row.label,
      state: row.state,
      title: sentence(row),
      ...trouble(row),
    }),
  },
  { id: "exchange", label: "Exchange", cell: ({ row }) => ({ text: exchangeName(row.exchange), class: "dim" }) },
  { id: "state", label: "State", cell: ({ row }) => ({ text: row.state, class: usable(row.state) ? "dim" : "warn" }) },
  {
    id: "age",
    label: "Age",
    title: "Since the last balances frame",
    num: true,
    cell: ({ status }) => ({ text: format.age(status.ageMs ?? Number.NaN), class: "dim" }),
  },
];

/** The second line of a row that is not well; not where the whole panel is old, as its head says already. */
function trouble({ state, reason, panelOld }) {
  if (usable(state) || panelOld) return {};
  return { sub: `${state}${reason ? `: ${reason}` : ""}`, subClass: state === "DOWN" ? "bad" : "warn" };
}

/** What an exchange says of itself: "Kraken: Kraken's status is maintenance. (until 27 Nov 2026 10:00:00 UTC)" */
export function noticeText({ exchange, notice, notices = [] }) {
  const said = notices.map(({ text, begins_ms: from, ends_ms: to }) => {
    const times = [from && `from ${format.dateTime(from)}`, to && `until ${format.dateTime(to)}`].filter(Boolean);
    return times.length > 0 ? `${text} (${times.join(" ")} UTC)` : text;
  });
  return `${exchangeName(exchange)}: ${said.length > 0 ? said.join(" ") : notice}`;
}

function since({ since_ms: ms }) {
  return `since ${format.dateTime(ms)} UTC`;
}

function connectionCell(row) {
  return {
    text: `${row.route}${row.number > 1 ? ` ${row.number}` : ""}`,
    note: row.child ? "" : exchangeName(row.exchange),
    state: row.state,
    title: `${sentence(row)}. ${row.url_host}, ${row.subscriptions} subscriptions, ${since(row)}`,
    ...supervision(row),
    ...trouble(row),
  };
}

function groupCell(row) {
  const unwell = row.group.filter(remarkable).length;
  return {
    text: exchangeName(row.exchange),
    note: `${row.group.length} conn.${unwell > 0 ? `, ${unwell} unusual` : ""}`,
    state: row.state,
    title: `${row.group.length} connections, ${row.subscriptions} subscriptions; click to list them`,
  };
}

/** The second line of a connection that is well, and yet not as usual. */
function supervision(row) {
  if (row.late_since_ms > 0) {
    const usual = `${format.milliseconds(row.late_ms)} ms instead of ${format.milliseconds(row.usual_ms)} ms`;
    return { sub: `Late: ${usual}, since ${format.dateTime(row.late_since_ms)} UTC`, subClass: "warn" };
  }
  if (row.announced) return { sub: `Being replaced: ${row.announced}`, subClass: "warn" };
  return row.replacing ? { sub: "To take the place of another one" } : {};
}

function pairText(p50, p99) {
  if (p50 === null || p50 === undefined) return format.NONE;
  return `${format.milliseconds(p50)}/${format.milliseconds(p99)}`;
}

function pair(p50, p99) {
  const text = pairText(p50, p99);
  return text === format.NONE ? { text, class: "dim" } : text;
}

function count(n) {
  return { text: format.grouped(String(n ?? 0)), class: n > 0 ? "warn" : "dim" };
}

function workerText({ cpu, rss_mb: rss, started_ms: started }) {
  const parts = [];
  if (Number.isFinite(cpu)) parts.push(`CPU ${(cpu * 100).toFixed(0)}\u2009%`);
  if (Number.isFinite(rss)) parts.push(`${rss.toFixed(0)} MB`);
  if (Number.isFinite(started)) parts.push(`up ${format.age(Date.now() - started)}`);
  return parts.join(" · ");
}
