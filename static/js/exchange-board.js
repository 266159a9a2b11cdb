/** The status board: one row for each exchange, with everything that tells whether it can be relied upon. */

import { VIA_CCXT, sentence } from "./badge.js";
import { board } from "./board-model.js";
import { onShown, setText } from "./dom.js";
import { exchangeColour, exchangeName } from "./exchanges.js";
import * as format from "./format.js";
import { usable } from "./states.js";
import { Table } from "./table.js";

export class ExchangeBoard {
  #app;
  #element;
  #count;
  #table;
  #seen = false;

  /** @param count element that shows how many exchanges are not usable */
  constructor(app, element, count) {
    this.#app = app;
    this.#element = element;
    this.#count = count;
    this.#table = new Table("Exchanges", this.#columns());
  }

  start() {
    this.#element.append(this.#table.element);
    onShown(this.#element, (seen) => {
      this.#seen = seen;
      this.#app.scheduler.invalidate(this);
    });
    this.#app.store.watch("streams", () => this.#app.scheduler.invalidate(this));
    this.#app.scheduler.ageing(this);
  }

  draw() {
    const { store } = this.#app;
    const status = store.status("streams", this.#app.serverUs());
    const data = store.data("streams");
    const rows = data ? board(data) : [];
    const unwell = rows.filter((row) => !usable(row.state)).length;
    setText(this.#count, status.usable && unwell > 0 ? `${unwell} not live` : "");
    if (!this.#seen) return;
    // While this board's own frame is old, nothing in it may look live.
    const old = (row) => (usable(row.state) ? { ...row, state: "STALE", reason: "" } : row);
    this.#table.draw(status.usable ? rows : rows.map(old), (row) => row.exchange, {
      note: rows.length > 0 ? "" : `${status.state}${status.reason ? `: ${status.reason}` : ""}`,
      className: (row) => (status.usable && usable(row.state) ? "" : "stale"),
      attributes: (row) => ({ "data-ex": exchangeColour(row.exchange) }),
    });
  }

  #columns() {
    const { delays } = this.#app;
    return [
      { id: "exchange", label: "Exchange", cell: nameCell },
      {
        id: "connections",
        label: "Conn.",
        title: "Connections that are live, of all",
        num: true,
        cell: (row) => ratio(row.connected, row.connections),
      },
      {
        id: "markets",
        label: "Markets",
        title: "Open markets that are live, of all",
        num: true,
        cell: (row) => ratio(row.live, row.markets),
      },
      { id: "rate", label: "Msg/s", num: true, cell: (row) => row.rate.toFixed(row.rate < 10 ? 1 : 0) },
      {
        id: "latency",
        label: "In ms",
        title: "Exchange to worker, of its slowest connection: middle and slowest percent",
        num: true,
        cell: (row) => ({
          text: row.latency ? pair(row.latency.p50, row.latency.p99) : format.NONE,
          class: row.late > 0 ? "warn" : row.latency ? "" : "dim",
          title: row.late > 0 ? `${row.late} of its connections later than usual` : null,
        }),
      },
      {
        id: "browser",
        label: "Out ms",
        title: "Worker to this browser: middle and slowest percent",
        num: true,
        wide: true,
        cell: (row) => pair(...delays.of(row.exchange)),
      },
      {
        id: "offset",
        label: "Clock ms",
        title: "The exchange's clock minus ours; latencies are corrected by it where it is known",
        num: true,
        cell: offsetCell,
      },
      {
        id: "resyncs",
        label: "Resyncs",
        title: "Books rebuilt since the start",
        num: true,
        cell: (row) => count(row.resyncs),
      },
      {
        id: "reconnects",
        label: "Rec.",
        title: "Connections that broke and came back",
        num: true,
        cell: (row) => ({
          ...count(row.reconnects),
          title: row.renewed === null ? null : `${row.renewed} replaced before they ended, without a gap`,
        }),
      },
      {
        id: "dropped",
        label: "Dropped",
        title: "Frames dropped as too many waited",
        num: true,
        wide: true,
        cell: (row) => count(row.dropped),
      },
      {
        id: "budget",
        label: "REST",
        title: "Used of the exchange's REST limit in this window",
        num: true,
        cell: budgetCell,
      },
    ];
  }
}

function nameCell(row) {
  const said = row.notices.map(noticeText).join(" ");
  const unwell = usable(row.state) ? "" : `${row.state}${row.reason ? `: ${row.reason}` : ""}`;
  const sub = [unwell, said].filter(Boolean).join(" · ");
  return {
    text: exchangeName(row.exchange),
    class: "strong",
    state: row.state,
    tags: [
      ...(row.via === "ccxt" ? [{ text: "CCXT", title: VIA_CCXT }] : []),
      ...(row.simulated ? [{ text: "SIM", class: "tag-sim", title: "Simulated: no real market" }] : []),
    ],
    sub,
    subClass: row.state === "DOWN" ? "bad" : "warn",
    title: `${sentence(row)}${said ? `. ${said}` : ""}`,
  };
}

/** "Maintenance (from ... until ... UTC)" */
function noticeText({ text, fromMs, toMs }) {
  const times = [
    fromMs && `from ${format.dateTime(fromMs)}`,
    toMs && `until ${format.dateTime(toMs)}`,
  ].filter(Boolean);
  return times.length > 0 ? `${text} (${times.join(" ")} UTC)` : text;
}

function offsetCell({ offsetMs, offsetErrorMs }) {
  if (offsetMs === null) return { text: format.NONE, class: "dim", title: "Not known (yet)" };
  const text = `${offsetMs > 0 ? "+" : ""}${format.milliseconds(offsetMs)}`;
  return {
    text,
    class: Math.abs(offsetMs) > 1000 ? "warn" : "",
    title: offsetErrorMs === null ? null : `Right to ${format.milliseconds(offsetErrorMs)} ms`,
  };
}

function budgetCell({ budget }) {
  if (!budget) return { text: format.NONE, class: "dim" };
  return {
    text: `${(budget.share * 100).toFixed(0)}\u2009%`,
    class: budget.blocked_s > 0 ? "bad" : budget.waiting > 0 || budget.used >= budget.allowed ? "warn" : "",
    title:
      `${budget.product}: ${budget.used} of ${budget.limit}, ours are ${budget.allowed}; ${budget.waiting} waiting` +
      (budget.blocked_s > 0 ? `; asked to wait ${budget.blocked_s.toFixed(0)} s` : ""),
  };
}

function ratio(part, whole) {
  return { text: `${part}/${whole}`, class: part < whole ? "warn" : whole === 0 ? "dim" : "" };
}

function pair(p50, p99) {
  if (p50 === null || p50 === undefined) return format.NONE;
  return `${format.milliseconds(p50)}/${format.milliseconds(p99)}`;
}

function count(n) {
  return { text: format.grouped(String(n)), class: n > 0 ? "warn" : "dim" };
}
