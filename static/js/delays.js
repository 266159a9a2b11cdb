/** Worker-to-browser delays of frames, by exchange and over all, on the server's clock. */

import { Quantiles } from "./latency.js";

const ENOUGH = 20;

export class Delays {
  #all = new Quantiles(1024);
  #byExchange = new Map();

  /** Forget them: a new connection, or a sleep. */
  reset() {
    this.#all.reset();
    for (const quantiles of this.#byExchange.values()) quantiles.reset();
  }

  /**
   * Count one frame. The first of a topic on a connection may have been waiting for us and is not to be counted.
   * @param nowUs the server's clock at receipt
   */
  add(frame, nowUs) {
    const ms = (nowUs - frame.sent_us) / 1000;
    // Two clocks that are compared by pings can be a little apart: below zero is as quick as can be told.
    const delay = Math.max(0, ms);
    this.#all.add(delay);
    const [, exchange] = frame.topic.split(":");
    if (frame.state === undefined || !exchange) return;
    if (!this.#byExchange.has(exchange)) this.#byExchange.set(exchange, new Quantiles());
    this.#byExchange.get(exchange).add(delay);
  }

  /** [p50, p99] in ms of all frames, or of an exchange's; null while there are too few to say. */
  of(exchange) {
    const quantiles = exchange === undefined ? this.#all : this.#byExchange.get(exchange);
    return quantiles && quantiles.count >= ENOUGH ? quantiles.at(0.5, 0.99) : [null, null];
  }
}
