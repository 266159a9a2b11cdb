/** The connection's light in the top bar, the clock beside it, and the one sentence read aloud when it changes. */

import { setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { replayText, replayTitle } from "./replay.js";

/** Link state -> word of docs/protocol.md 2.6 that the light shows. */
const WORDS = {
  connecting: "CONNECTING",
  waiting: "DOWN",
  open: "SYNCING",
  live: "LIVE",
  silent: "STALE",
  asleep: "STALE",
  refused: "DOWN",
  stopped: "DOWN",
};

export class LinkLight {
  #app;
  #parts;
  #said = "";

  /** @param parts {link, state, age, latency, clock, announcer, simulated, replay} */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
  }

  start() {
    this.#app.scheduler.ageing(this);
  }

  draw() {
    const { link, state, age, latency, clock, simulated, replay } = this.#parts;
    const { socket, store, delays } = this.#app;
    const word = WORDS[socket.link.state];
    setAttribute(link, "data-state", word);
    setText(state, word);
    setAttribute(
      link,
      "title",
      socket.link.usable
        ? "Connection to Spreadboard; age of the last message"
        : `Connection to Spreadboard: ${socket.link.reason}`,
    );
    const retry = socket.retryInMs;
    setText(
      age,
      retry !== null
        ? `again in ${format.age(retry + 999)}`
        : word === "CONNECTING" || word === "DOWN"
          ? ""
          : format.age(socket.silentMs),
    );
    const [p50, p99] = delays.of();
    setText(
      latency,
      word === "LIVE" && p50 !== null ? `${format.milliseconds(p50)} / ${format.milliseconds(p99)} ms` : "",
    );
    setText(clock, `${format.clock(this.#app.nowMs())} UTC`);
    simulated.hidden = store.simulated.size === 0;
    replay.hidden = !store.replay;
    if (store.replay) {
      const played = store.data("streams")?.replay;
      setText(replay, replayText(played));
      setAttribute(replay, "title", replayTitle(played));
    }
    this.#announce(word, socket.link.reason);
  }

  /** Only what a listener must know: that data stopped being current, and that they are again. */
  #announce(word, reason) {
    const usable = word === "LIVE";
    const sentence = usable ? "Data are live." : `Data are not live: ${reason}.`;
    const kind = usable ? "live" : "not";
    if (kind === this.#said) return;
    if (this.#said !== "" || !usable) setText(this.#parts.announcer, sentence);
    this.#said = kind;
  }
}
