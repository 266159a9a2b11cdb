/**
 * The WebSocket of docs/protocol.md section 2: connect, subscribe, confirm what was painted, notice silence, back off.
 *
 * It knows nothing of the page. Its delegate has:
 *   linkChanged(link)              link is {state, usable, reason, since}, "waiting" also {until, failures},
 *                                  "refused" also {code}
 *   hello(message)
 *   bundle(frames)                 frames of one bundle; once they are on the screen, call painted(mark), where mark
 *                                  was read before they were drawn
 *   topicRefused(topic, message)
 *
 * Link states: "connecting", "waiting" (backing off), "open" (hello, no bundle yet), "live", "silent" (nothing for
 * 5 s), "asleep" (hidden tab), "refused" (signed out or forbidden: no retry), "stopped".
 */

import { ClockOffset } from "./latency.js";
import { Subscriptions } from "./subscriptions.js";

// Noticed before 5 s are over, whenever the watch looks.
const SILENT_MS = 4700;
const RECONNECT_SILENT_MS = 10_000;
const HELLO_MS = 10_000;
const CONFIRM_MS = 1000;
const CONFIRM_LENGTH = 100_000; // characters received since: then sooner, or the server waits for us at its cap
const CONFIRM_LEAST_MS = 250;
const PING_MS = 5000;
const FIRST_PING_MS = 500; // the clock's offset is wanted soon, and the first answers come while the page is busy
const FIRST_PINGS = 10;
const WATCH_MS = 250;
const SLEPT_MS = 5000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 15_000;

/** Close codes that trying again cannot help. */
const FINAL = { 4401: "signed out", 4403: "the server does not accept this address as its own" };

export class Socket {
  #delegate;
  #environment;
  #url;
  #ws = null;
  #timers = { retry: null, watch: null };
  #failures = 0;
  #lastMessage = 0;
  #lastWatch = 0;
  #lastWall = 0;
  #opened = 0;
  #received = null;
  #painted = null;
  #confirmed = null;
  #confirmedAt = 0;
  #unconfirmed = 0; // characters received since the last confirmation
  #pings = 0;
  #pingedAt = 0;
  #nextId = 1;

  offset = new ClockOffset();
  link = { state: "stopped", usable: false, reason: "not started", since: 0 };
  subscriptions = new Subscriptions(
    (message) => this.#send(message),
    () => this.#nextId++,
  );

  /**
   * @param environment {WebSocket, now() in ms (monotonic), wall() in ms (the device's clock), clockUs(), setTimeout,
   *   clearTimeout, random()}
   */
  constructor(url, delegate, environment) {
    this.#url = url;
    this.#delegate = delegate;
    this.#environment = environment;
    this.subscriptions.refused = (topic, message) => delegate.topicRefused(topic, message);
  }

  // Life

  start() {
    if (this.link.state !== "stopped" && this.link.state !== "asleep") return;
    this.#lastWatch = this.#now();
    this.#lastWall = this.#environment.wall();
    this.#schedule("watch", () => this.#watch(), WATCH_MS);
    this.#connect();
  }

  stop(state = "stopped", reason = "stopped", more = {}) {
    this.#cancel("retry");
    this.#cancel("watch");
    this.#drop();
    this.#setLink(state, reason, more);
  }

  /** Leave the connection while nobody looks; wake() brings a new one. */
  sleep(reason = "this tab is asleep") {
    if (this.link.state !== "stopped" && this.link.state !== "refused") this.stop("asleep", reason);
  }

  /** The page is looked at again after `ms` of not being painted. */
  wake(ms) {
    if (this.link.state === "asleep") this.start();
    else if (ms >= SLEPT_MS) this.reconnect("this tab slept");
  }

  reconnect(reason) {
    if (["stopped", "asleep", "refused"].includes(this.link.state)) return;
    this.#cancel("retry");
    this.#drop();
    this.#connect(reason);
  }

  // Use

  want(topic) {
    this.subscriptions.want(topic, this.#now());
  }

  drop(topic) {
    this.subscriptions.drop(topic);
  }

  /** What has been received by now; to be given to painted() once that is on the screen. */
  get mark() {
    return { ws: this.#ws, bundle: this.#received };
  }

  painted({ ws, bundle }) {
    if (ws !== this.#ws || bundle === null) return;
    this.#painted = bundle;
    this.#confirm();
  }

  get silentMs() {
    return this.#now() - this.#lastMessage;
  }

  get retryInMs() {
    return this.link.state === "waiting" ? Math.max(0, this.link.until - this.#now()) : null;
  }

  // Connection

  #connect(reason = "connecting") {
    this.#setLink("connecting", reason);
    this.#opened = this.#lastMessage = this.#now();
    const ws = new this.#environment.WebSocket(this.#url);
    this.#ws = ws;
    ws.onmessage = (event) => {
      if (ws === this.#ws) this.#receive(event.data);
    };
    ws.onclose = (event) => {
      if (ws === this.#ws) this.#lost(event.code, event.reason);
    };
    ws.onerror = () => {}; // a close always follows
  }

  #lost(code, reason) {
    this.#drop();
    if (FINAL[code]) {
      this.stop("refused", FINAL[code], { code });
      return;
    }
    const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    const wait = most * (0.5 + this.#environment.random() / 2);
    const why = reason || (code === 1006 ? "the server cannot be reached" : `closed by the server (${code})`);
    this.#setLink("waiting", why, { until: this.#now() + wait, failures: this.#failures });
    this.#schedule("retry", () => this.#connect(why), wait);
  }

  /** Forget the present connection; nothing of it counts any more. */
  #drop() {
    const ws = this.#ws;
    this.#ws = null;
    this.#received = this.#painted = this.#confirmed = null;
    this.#unconfirmed = 0;
    this.subscriptions.disconnected();
    this.offset.reset();
    if (ws && ws.readyState < 2) ws.close(1000);
  }

  #receive(text) {
    const now = this.#now();
    const message = JSON.parse(text);
    this.#unconfirmed += text.length;
    this.#lastMessage = now;
    if (this.link.state === "silent") this.#setLink("live", "");
    switch (message.type) {
      case "hello":
        this.#pings = 0;
        this.#setLink("open", "waiting for the first data");
        this.#delegate.hello(message);
        this.subscriptions.connected(now, message.max_topics);
        this.#ping(now);
        break;
      case "bundle":
        this.#failures = 0; // only valid data end a series of failures
        this.#received = message.bundle;
        if (this.link.state === "open") this.#setLink("live", "");
        this.#delegate.bundle(message.frames);
        break;
      case "pong":
        this.offset.add(message.client_us, message.server_us, this.#environment.clockUs());
        break;
      default:
        this.subscriptions.answered(message, now);
    }
  }

  // Timers

  #watch() {
    const now = this.#now();
    const wall = this.#environment.wall(); // where the device sleeps, the monotonic clock may stand still
    const slept = Math.max(now - this.#lastWatch, wall - this.#lastWall) > SLEPT_MS;
    this.#lastWatch = now;
    this.#lastWall = wall;
    this.#schedule("watch", () => this.#watch(), WATCH_MS);
    const silent = now - this.#lastMessage;
    if (slept) this.reconnect("this device slept");
    else if (this.link.state === "connecting" && now - this.#opened > HELLO_MS)
      this.#lost(0, "no greeting from the server");
    else if ((this.link.state === "live" || this.link.state === "open") && silent >= SILENT_MS) {
      this.#setLink("silent", "nothing came from the server");
    } else if (this.link.state === "silent" && silent >= RECONNECT_SILENT_MS) this.#lost(0, "silent for too long");
    if (!this.#ws || !["open", "live", "silent"].includes(this.link.state)) return;
    this.subscriptions.flush(now);
    this.#confirm();
    if (now - this.#pingedAt >= (this.#pings < FIRST_PINGS ? FIRST_PING_MS : PING_MS)) this.#ping(now);
  }

  #ping(now) {
    this.#pings += 1;
    this.#pingedAt = now;
    this.#send({ type: "ping", id: this.#nextId++, client_us: Math.round(this.#environment.clockUs()) });
  }

  #confirm() {
    if (this.#painted === null || this.#painted === this.#confirmed) return;
    const pause = this.#unconfirmed >= CONFIRM_LENGTH ? CONFIRM_LEAST_MS : CONFIRM_MS;
    if (this.#now() - this.#confirmedAt < pause) return; // the watch confirms the rest
    if (!this.#send({ type: "drawn", bundle: this.#painted })) return;
    this.#unconfirmed = 0;
    this.#confirmed = this.#painted;
    this.#confirmedAt = this.#now();
  }

  #send(message) {
    if (this.#ws?.readyState !== 1) return false;
    this.#ws.send(JSON.stringify(message));
    return true;
  }

  #setLink(state, reason, more = {}) {
    this.link = { state, usable: state === "live", reason, since: this.#now(), ...more };
    this.#delegate.linkChanged(this.link);
  }

  #now() {
    return this.#environment.now();
  }

  #schedule(name, run, ms) {
    this.#cancel(name);
    this.#timers[name] = this.#environment.setTimeout(run, ms);
  }

  #cancel(name) {
    if (this.#timers[name] !== null) this.#environment.clearTimeout(this.#timers[name]);
    this.#timers[name] = null;
  }
}

/** What a Socket needs of a browser. */
export function browserEnvironment() {
  return {
    WebSocket: globalThis.WebSocket,
    now: () => performance.now(),
    wall: () => Date.now(),
    clockUs: () => (performance.timeOrigin + performance.now()) * 1000,
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    random: Math.random,
  };
}
