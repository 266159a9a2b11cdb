/** Arbitrage events: the newest from frames, older ones read by REST, each once, the latest start first. Pure. */

import { exchangeName } from "./exchanges.js";

const KEPT = 500;

export class EventsLog {
  /** There may be events before the oldest one held. */
  older = true;

  #events = new Map(); // id -> event

  /** The events of a frame: what it says of an event is newer than what is held. */
  take(events) {
    for (const event of events) this.#events.set(event.id, event);
    this.#trim();
  }

  /** A page of older ones. */
  addOlder({ events, more }) {
    for (const event of events) if (!this.#events.has(event.id)) this.#events.set(event.id, event);
    this.older = more && this.#events.size < KEPT;
    this.#trim();
  }

  get size() {
    return this.#events.size;
  }

  get open() {
    return [...this.#events.values()].filter((event) => event.open).length;
  }

  /** The `before` of the next page. */
  get oldest() {
    return this.#events.size === 0 ? null : Math.min(...this.#events.keys());
  }

  /** Running ones first, then by start, the latest first. @param symbol only this one's, all if null */
  list(symbol = null) {
    return [...this.#events.values()]
      .filter((event) => symbol === null || event.symbol === symbol)
      .sort((a, b) => Number(b.open) - Number(a.open) || b.started_ms - a.started_ms || b.id - a.id);
  }

  /** An open event that a frame does not name any more has ended unseen: only its row can tell how. */
  lost(events) {
    const named = new Set(events.map((event) => event.id));
    return [...this.#events.values()].filter((event) => event.open && !named.has(event.id)).map((event) => event.id);
  }

  #trim() {
    if (this.#events.size <= KEPT) return;
    const ids = [...this.#events.keys()].sort((a, b) => a - b);
    for (const id of ids.slice(0, ids.length - KEPT)) this.#events.delete(id);
  }
}

/** How long an event lasts, in ms: a running one goes on until now, while its frame is current. */
export function lasted(event, nowMs) {
  return event.open && nowMs !== null ? Math.max(event.lasted_ms, nowMs - event.started_ms) : event.lasted_ms;
}

/** "Binance", with the symbol where it is not the event's own. */
export function sideName(event, side) {
  const { exchange, symbol } = event[side];
  return symbol === event.symbol ? exchangeName(exchange) : `${exchangeName(exchange)} ${symbol.split(":")[0]}`;
}
