/**
 * The list of arbitrage events: running ones tick, ended ones say why they ended, older ones are read on demand. A
 * click shows the event's pair in the matrix and its books. The number of running ones stands on the view's switch.
 */

import * as api from "./api.js";
import * as decimal from "./decimal.js";
import { el, onShown, setText } from "./dom.js";
import { EventsLog, lasted, sideName } from "./events-log.js";
import * as format from "./format.js";
import { keyOf } from "./instruments.js";
import { bpsText, money } from "./matrix-model.js";
import { Table } from "./table.js";

const TOPIC = "arbitrage";
const PAGE = 100;

export class Events {
  #app;
  #element;
  #counts;
  #log = new EventsLog();
  #table;
  #seen = false;
  #busy = false;
  #problem = "";
  #here = el("button", { class: "tool", type: "button", "aria-pressed": "false", text: "" });
  #rule = el("span", { class: "dim", text: "" });
  #head = el("div", { class: "sheet-head" }, this.#rule, el("span", { class: "panel-space" }), this.#here);
  #note = el("p", { class: "note tag-warn", role: "status", hidden: true, text: "" });
  #older = el("button", { class: "button sheet-more", type: "button", hidden: true, text: "Older events" });
  #only = false; // the selected symbol's alone

  /** @param counts elements that show how many events are running */
  constructor(app, element, counts) {
    this.#app = app;
    this.#element = element;
    this.#counts = counts;
    this.#table = new Table("Arbitrage events", this.#columns());
  }

  start() {
    this.#element.append(this.#head, this.#note, this.#table.element, this.#older);
    this.#older.addEventListener("click", () => this.#readOlder());
    this.#here.addEventListener("click", () => {
      this.#only = !this.#only;
      this.#app.scheduler.invalidate(this);
    });
    this.#table.element.addEventListener("click", (event) => this.#open(event.target));
    this.#app.store.watch(TOPIC, (frame) => this.#changed(frame));
    this.#app.selection.addEventListener("change", () => this.#app.scheduler.invalidate(this));
    onShown(this.#element, (seen) => {
      this.#seen = seen;
      this.#app.scheduler.invalidate(this);
    });
    this.#app.scheduler.ageing(this);
  }

  #changed(frame) {
    if (frame) {
      const lost = this.#log.lost(frame.data.events);
      this.#log.take(frame.data.events);
      if (lost.length > 0) this.#readAgain(Math.max(...lost));
    }
    this.#app.scheduler.invalidate(this);
  }

  /** Events that were open and left the frame while we did not look: their rows tell how they ended. */
  async #readAgain(newest) {
    try {
      const { events } = await api.get("/api/arbitrage/", { before: newest + 1, limit: PAGE });
      this.#log.take(events);
    } catch (error) {
      this.#problem = `Some events may have ended: ${error.message}`;
    }
    this.#app.scheduler.invalidate(this);
  }

  async #readOlder() {
    if (this.#busy) return;
    this.#busy = true;
    try {
      this.#log.addOlder(await api.get("/api/arbitrage/", { before: this.#log.oldest, limit: PAGE }));
      this.#problem = "";
    } catch (error) {
      this.#problem = error.message;
    }
    this.#busy = false;
    this.#app.scheduler.invalidate(this);
  }

  /** Show an event's symbol, size, fees and pair. */
  #open(target) {
    const id = Number(target.closest("tr")?.dataset.id);
    const event = this.#log.list().find((one) => one.id === id);
    if (!event) return;
    const { choice, selection } = this.#app;
    // The event's symbol: a leg in a tied quote is another market, which the matrix shows under this symbol.
    const own = [event.buy, event.sell].find((side) => side.symbol === event.symbol) ?? event.buy;
    selection.select(keyOf(own.exchange, event.symbol));
    choice.setFees(event.fees);
    choice.setSize(event.size);
    choice.setPair(keyOfSide(event, "buy"), keyOfSide(event, "sell"));
    this.#app.layout.open("pair");
  }

  draw() {
    const { store, selection } = this.#app;
    const status = store.status(TOPIC, this.#app.serverUs());
    const data = store.data(TOPIC);
    const running = status.usable ? this.#log.open : 0;
    for (const count of this.#counts) setText(count, running > 0 ? String(running) : "");
    if (!this.#seen) return;
    const nowMs = status.usable ? this.#app.nowMs() : null;
    const events = this.#log.list(this.#only ? selection.symbol : null);
    const rows = events.map((event) => ({ event, nowMs, usable: status.usable }));
    this.#table.draw(rows, ({ event }) => String(event.id), {
      note: rows.length > 0 ? "" : emptyText(status, data),
      className: ({ event, usable }) => `${event.open ? "running" : ""} ${usable || !event.open ? "" : "stale"}`.trim(),
      attributes: ({ event }) => ({ "data-id": event.id }),
    });
    setText(this.#rule, data ? ruleText(data) : "");
    this.#here.hidden = !selection.symbol;
    setText(this.#here, `${(selection.symbol ?? "").split(":")[0]} only`);
    this.#here.setAttribute("aria-pressed", String(this.#only));
    this.#note.hidden = this.#problem === "";
    setText(this.#note, this.#problem);
    this.#older.hidden = !this.#log.older || this.#log.size === 0;
    this.#older.disabled = this.#busy;
  }

  #columns() {
    return [
      {
        id: "started",
        label: "Started",
        cell: ({ event }) => ({
          text: format.clock(event.started_ms),
          sub: format.dateTime(event.started_ms).slice(5, 10),
          title: `${format.dateTime(event.started_ms)} UTC`,
        }),
      },
      {
        id: "market",
        label: "Symbol",
        cell: ({ event }) => ({
          text: event.symbol.split(":")[0],
          class: "strong",
          sub: `${format.plain(event.size)} ${event.symbol.split("/")[0]}, ${event.fees}`,
          tags: event.symbol.includes(":") ? [{ text: "PERP" }] : [],
        }),
      },
      {
        id: "route",
        label: "Buy → sell",
        cell: ({ event }) => ({ text: sideName(event, "buy"), sub: `→ ${sideName(event, "sell")}` }),
      },
      {
        id: "lasted",
        label: "Lasted",
        num: true,
        cell: ({ event, nowMs }) => ({ text: lastedText(lasted(event, nowMs)), class: event.open ? "strong" : "" }),
      },
      { id: "first", label: "First bps", num: true, wide: true, cell: ({ event }) => bps(event.first_bps) },
      {
        id: "largest",
        label: "Largest bps",
        num: true,
        cell: ({ event }) => ({ text: bps(event.largest_bps), sub: `at ${format.clock(event.largest_ms)}` }),
      },
      {
        id: "net",
        label: "Largest net",
        num: true,
        cell: ({ event }) => ({
          text: event.largest_net === null ? format.NONE : `${money(event.largest_net, { plus: true })} ${event.quote}`,
          class: "buy",
        }),
      },
      {
        id: "reason",
        label: "End",
        cell: ({ event, usable }) =>
          event.open
            ? { text: usable ? "RUNNING" : "not known now", class: usable ? "running-word" : "warn" }
            : { text: event.reason, class: "dim", title: `${format.dateTime(event.ended_ms)} UTC: ${event.reason}` },
      },
    ];
  }
}

function keyOfSide(event, side) {
  const { exchange, symbol } = event[side];
  return symbol === event.symbol ? exchange : `${exchange} ${symbol.split(":")[0].split("/")[1]}`;
}

function bps(text) {
  return text === null ? format.NONE : bpsText(decimal.parse(text));
}

/** Short ones with a tenth of a second: "4.2 s", then as ages are. */
function lastedText(ms) {
  return ms < 60_000 ? `${(Math.floor(ms / 100) / 10).toFixed(1)}\u2009s` : format.age(ms);
}

function ruleText({ threshold_bps: threshold, duration_s: seconds }) {
  return `Net at or above ${format.plain(threshold)}\u2009bps for ${seconds}\u2009s`;
}

function emptyText(status, data) {
  if (!data || !status.usable) return `${status.state}${status.reason ? `: ${status.reason}` : ""}`;
  return "None yet. Judged are the matrices that are open, and those that spreadboard.toml names.";
}
