/** The server's clock as seen from here, and running quantiles of delays. Pure. */

const PINGS_KEPT = 12;

/** Offset of the server's clock, from the quickest of the last few pings (it is the least distorted by queues). */
export class ClockOffset {
  #pings = [];

  /** Forget everything, after a sleep or on a new connection. */
  reset() {
    this.#pings.length = 0;
  }

  /** A pong: when the ping left and when the pong came, by our clock, and the server's time in it. All in us. */
  add(sentUs, serverUs, receivedUs) {
    const roundTripUs = receivedUs - sentUs;
    if (!(roundTripUs >= 0) || !Number.isFinite(serverUs)) return;
    this.#pings.push({ roundTripUs, offsetUs: serverUs - (sentUs + roundTripUs / 2) });
    if (this.#pings.length > PINGS_KEPT) this.#pings.shift();
  }

  get known() {
    return this.#pings.length > 0;
  }

  /** Add to our clock to get the server's; 0 while unknown. */
  get us() {
    return this.#best()?.offsetUs ?? 0;
  }

  get roundTripMs() {
    const best = this.#best();
    return best ? best.roundTripUs / 1000 : null;
  }

  #best() {
    let best = null;
    for (const ping of this.#pings) if (!best || ping.roundTripUs < best.roundTripUs) best = ping;
    return best;
  }
}

/** Quantiles of the last `capacity` values. */
export class Quantiles {
  #values;
  #next = 0;
  #count = 0;

  constructor(capacity = 512) {
    this.#values = new Float64Array(capacity);
  }

  add(value) {
    if (!Number.isFinite(value)) return;
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#values.length;
    this.#count = Math.min(this.#count + 1, this.#values.length);
  }

  reset() {
    this.#next = 0;
    this.#count = 0;
  }

  get count() {
    return this.#count;
  }

  /** The values at these ratios (nearest rank), null while empty. */
  at(...ratios) {
    if (this.#count === 0) return ratios.map(() => null);
    const sorted = this.#values.slice(0, this.#count).sort();
    return ratios.map((ratio) => sorted[Math.min(this.#count - 1, Math.max(0, Math.ceil(ratio * this.#count) - 1))]);
  }
}
