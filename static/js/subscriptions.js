/**
 * Which topics the page wants, and which the server has granted on this connection.
 *
 * New topics are asked for at once, though at most four times a second; topics given up are kept for a second, since a
 * trader often flips back. A subscription is all or none, so one that is refused is halved until the wrong topic stands
 * alone.
 */

const SUBSCRIBE_MS = 250;
const LINGER_MS = 1000;
const REFUSED_MS = 30_000;
const BATCH = 100;

export class Subscriptions {
  #send;
  #nextId;
  #wanted = new Set();
  #asked = new Set(); // asked for or granted on this connection
  #refused = new Map(); // topic -> {message, at}: not asked for again for a while
  #pending = new Map(); // id -> topics of a subscribe that is not answered yet
  #retry = []; // batches to ask for again, halved
  #up = false;
  #most = Infinity;
  #lastSubscribe = -Infinity;
  #lastUnsubscribe = -Infinity;

  /** Called for every topic that the server refuses: (topic, message). */
  refused = () => {};

  constructor(send, nextId) {
    this.#send = send;
    this.#nextId = nextId;
  }

  want(topic, now) {
    // One that only lingers is asked for anew: the server sends its newest frame, which the page has forgotten.
    if (!this.#wanted.has(topic)) this.#asked.delete(topic);
    this.#wanted.add(topic);
    this.flush(now);
  }

  drop(topic) {
    this.#wanted.delete(topic);
    this.#refused.delete(topic);
  }

  get size() {
    return this.#wanted.size;
  }

  reasonRefused(topic) {
    return this.#refused.get(topic)?.message ?? null;
  }

  connected(now, most = Infinity) {
    this.#up = true;
    this.#most = most;
    this.#lastSubscribe = -Infinity;
    this.#lastUnsubscribe = now;
    this.flush(now);
  }

  disconnected() {
    this.#up = false;
    this.#asked.clear();
    this.#pending.clear();
    this.#refused.clear();
    this.#retry = [];
  }

  /** Send what is due. Called on every change and by the socket's watch. */
  flush(now) {
    if (!this.#up) return;
    if (now - this.#lastUnsubscribe >= LINGER_MS) this.#unsubscribe(now);
    if (now - this.#lastSubscribe >= SUBSCRIBE_MS) this.#subscribe(now);
  }

  /** An answer of the server that is not a bundle. */
  answered(message, now) {
    const topics = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.type !== "error") return;
    if (!topics) {
      if (typeof message.topic === "string") this.#refuse(message.topic, message.message, now); // accepted before
      return;
    }
    if (topics.length > 1) {
      const half = Math.ceil(topics.length / 2);
      this.#retry.push(topics.slice(0, half), topics.slice(half));
      this.flush(now);
      return;
    }
    this.#refuse(topics[0], message.message, now);
  }

  #refuse(topic, message, now) {
    this.#asked.delete(topic);
    if (!this.#wanted.has(topic)) return;
    this.#refused.set(topic, { message, at: now });
    this.refused(topic, message);
  }

  #subscribe(now) {
    const again = this.#retry.shift()?.filter((topic) => this.#wanted.has(topic)) ?? [];
    const topics = again.length > 0 ? again : this.#missing(now);
    if (topics.length === 0) return;
    const id = this.#nextId();
    if (!this.#send({ type: "subscribe", id, topics })) return;
    this.#lastSubscribe = now;
    this.#pending.set(id, topics);
    for (const topic of topics) this.#asked.add(topic);
  }

  #missing(now) {
    const missing = [];
    for (const topic of this.#wanted) {
      if (this.#asked.has(topic) || now - (this.#refused.get(topic)?.at ?? -Infinity) < REFUSED_MS) continue;
      if (this.#asked.size + missing.length >= this.#most) this.#makeRoom();
      if (this.#asked.size + missing.length >= this.#most) break;
      missing.push(topic);
      if (missing.length >= BATCH) break;
    }
    return missing;
  }

  #unsubscribe(now) {
    const topics = [...this.#asked].filter((topic) => !this.#wanted.has(topic));
    if (topics.length === 0 || !this.#send({ type: "unsubscribe", id: this.#nextId(), topics })) return;
    this.#lastUnsubscribe = now;
    for (const topic of topics) this.#asked.delete(topic);
  }

  /** At the server's limit, topics that only linger go at once. */
  #makeRoom() {
    this.#unsubscribe(-Infinity);
  }
}
