/**
 * The newest frame of every topic that something on the page watches, and what may be believed of it.
 *
 * A frame is usable only on the connection it came by: after a break everything is STALE until it has come again.
 */

import { empty, usable, worse } from "./states.js";

const STREAMS = "streams";

export class Store {
  #socket;
  #now;
  #entries = new Map(); // topic -> {frame, at, connection}
  #watchers = new Map(); // topic -> Set of functions
  #connection = 0;
  #link = { usable: false, state: "connecting", reason: "connecting" };
  #refused = new Map();
  #markets = new Map(); // "exchange:symbol" -> row of the streams frame
  #marketsAt = 0;

  simulated = new Set();
  /** A recording is played: everything is of the past. */
  replay = false;

  /** @param socket {want(topic), drop(topic)}  @param now monotonic ms */
  constructor(socket, now) {
    this.#socket = socket;
    this.#now = now;
  }

  // Watching

  /** Call `changed` after every new frame of the topic; returns the function that ends it. */
  watch(topic, changed) {
    let watchers = this.#watchers.get(topic);
    if (!watchers) {
      watchers = new Set();
      this.#watchers.set(topic, watchers);
      this.#socket.want(topic);
    }
    watchers.add(changed);
    return () => {
      if (!watchers.delete(changed) || watchers.size > 0 || this.#watchers.get(topic) !== watchers) return;
      this.#watchers.delete(topic);
      this.#entries.delete(topic);
      this.#refused.delete(topic);
      this.#socket.drop(topic);
    };
  }

  get topics() {
    return [...this.#watchers.keys()];
  }

  // Input

  /** @param each called with every frame that is watched, and whether it is its topic's first on this connection */
  apply(frames, each = () => {}) {
    const at = this.#now();
    for (const frame of frames) {
      const watchers = this.#watchers.get(frame.topic);
      if (!watchers) continue;
      const first = this.#entries.get(frame.topic)?.connection !== this.#connection;
      this.#entries.set(frame.topic, { frame, at, connection: this.#connection });
      this.#refused.delete(frame.topic);
      if (frame.topic === STREAMS) this.#takeStreams(frame, at);
      each(frame, first);
      for (const changed of watchers) changed(frame, first);
    }
  }

  /** A new connection has greeted: what came by the old one is old. */
  connected() {
    this.#connection += 1;
    this.#markets.clear();
    this.#marketsAt = 0;
    this.#refused.clear();
    this.changedAll();
  }

  linkChanged(link) {
    this.#link = link;
    this.changedAll();
  }

  refuse(topic, message) {
    this.#refused.set(topic, message);
    for (const changed of this.#watchers.get(topic) ?? []) changed(null, false);
  }

  changedAll() {
    for (const watchers of this.#watchers.values()) for (const changed of watchers) changed(null, false);
  }

  #takeStreams(frame, at) {
    this.#markets.clear();
    for (const market of frame.data.markets) this.#markets.set(`${market.exchange}:${market.symbol}`, market);
    this.#marketsAt = at;
  }

  // Output

  get link() {
    return this.#link;
  }

  frame(topic) {
    return this.#entries.get(topic)?.frame ?? null;
  }

  data(topic) {
    return this.frame(topic)?.data ?? null;
  }

  /** Milliseconds since this topic's frame arrived; Infinity without one. */
  sinceArrival(topic) {
    const entry = this.#entries.get(topic);
    return entry ? this.#now() - entry.at : Infinity;
  }

  isSimulated(exchange) {
    return this.simulated.has(exchange);
  }

  /**
   * What may be believed of a topic now.
   * @param serverUs the server's clock, null while it is not known
   * @returns {{state: string, usable: boolean, empty: boolean, reason: string, ageMs: number|null, restored: boolean}}
   */
  status(topic, serverUs) {
    const entry = this.#entries.get(topic);
    const ageMs = entry ? this.#ageOf(topic, entry, serverUs) : null;
    const restored = Boolean(entry?.frame.data?.restored);
    const say = (state, reason) => ({
      state,
      usable: usable(state),
      empty: empty(state) || !entry,
      reason: reason || "",
      ageMs,
      restored,
    });
    if (this.#refused.has(topic)) return say("DOWN", this.#refused.get(topic));
    // What was not there to be shown does not become old data when the connection breaks.
    const old = empty(entry?.frame.state ?? "LIVE") ? entry.frame.state : "STALE";
    if (!this.#link.usable && this.#link.state !== "open") return say(entry ? old : "CONNECTING", this.#link.reason);
    if (!entry) return say(...this.#reported(topic, "CONNECTING", "waiting for the first data"));
    if (entry.connection !== this.#connection) return say(old, "not received again since the connection broke");
    // A frame speaks for its moment. What the streams frame says later counts where it is worse.
    const market = this.#market(topic);
    const own = { state: entry.frame.state ?? "LIVE", reason: "" };
    const shown = entry.at >= this.#marketsAt ? own : worse(own, market);
    return say(shown.state, usable(shown.state) && shown.state !== "POLLED" ? "" : market?.reason);
  }

  #reported(topic, state, reason) {
    const market = this.#market(topic);
    if (!market) return [state, reason];
    return usable(market.state) ? ["SYNCING", reason] : [market.state, market.reason || reason];
  }

  /** The market's row in the newest streams frame, if that is young enough to say anything. */
  #market(topic) {
    if (this.#marketsAt === 0) return null;
    const first = topic.indexOf(":");
    return this.#markets.get(topic.slice(first + 1)) ?? null;
  }

  /**
   * Age of a topic's data: since the worker received the last update in the frame or, where the frame still stands
   * although its market went on, since the market's last sign of life.
   */
  #ageOf(topic, entry, serverUs) {
    const now = this.#now();
    const us = entry.frame.recv_us || entry.frame.sent_us;
    const own = us > 0 && serverUs !== null ? Math.max(0, (serverUs - us) / 1000) : now - entry.at;
    const market = this.#market(topic);
    return Number.isFinite(market?.age_ms) ? Math.min(own, market.age_ms + now - this.#marketsAt) : own;
  }
}
