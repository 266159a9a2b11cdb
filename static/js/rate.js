/** How often something happened, over the last few seconds. Bounded: one count per second is kept. */

const SECONDS = 5;

export class Rate {
  #now;
  #counts = new Map(); // second -> count
  #since;

  /** @param now monotonic ms */
  constructor(now) {
    this.#now = now;
    this.#since = now();
  }

  reset() {
    this.#counts.clear();
    this.#since = this.#now();
  }

  count() {
    const second = Math.floor(this.#now() / 1000);
    this.#counts.set(second, (this.#counts.get(second) ?? 0) + 1);
    for (const old of this.#counts.keys()) if (old < second - SECONDS) this.#counts.delete(old);
  }

  /** Over the last whole seconds, or since the beginning if that is shorter; null in the first second. */
  perSecond() {
    const now = this.#now();
    const second = Math.floor(now / 1000);
    const span = Math.min(SECONDS, (second * 1000 - this.#since) / 1000);
    if (span < 1) return null;
    let sum = 0;
    for (const [at, count] of this.#counts) if (at < second && at >= second - SECONDS) sum += count;
    return sum / span;
  }
}
