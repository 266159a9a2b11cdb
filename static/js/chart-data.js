/** The bars of one market and interval: history and live ones merged, holes left open. Pure, bounded. */

export const INTERVALS = {
  "1m": 60_000,
  "5m": 300_000,
  "15m": 900_000,
  "1h": 3_600_000,
  "4h": 14_400_000,
  "1d": 86_400_000,
};

const MOST_BARS = 1500;
const MOST_BLANKS = 3000;

export class ChartData {
  #bars = new Map(); // open_ms -> bar of the protocol
  #last = null;

  constructor(interval) {
    this.interval = interval;
    this.ms = INTERVALS[interval];
  }

  get size() {
    return this.#bars.size;
  }

  get last() {
    return this.#last === null ? null : this.#bars.get(this.#last);
  }

  /** When the oldest bar opened, null without bars. */
  get firstMs() {
    return this.#bars.size > 0 ? Math.min(...this.#bars.keys()) : null;
  }

  at(openMs) {
    return this.#bars.get(openMs) ?? null;
  }

  /** Take history in. A bar that came live is newer than history unless history has it closed. */
  addHistory(bars) {
    for (const bar of bars) {
      const held = this.#bars.get(bar.open_ms);
      if (!held || (bar.closed && !held.closed)) this.#put(bar);
    }
    this.#trim();
  }

  /**
   * Take the last bars of a live frame.
   * @returns {{changed: object[], hole: boolean}} bars that are new or differ, oldest first; whether bars are missing
   *   between what is held and these
   */
  addLive(bars) {
    const hole = this.#last !== null && bars.length > 0 && bars[0].open_ms > this.#last + this.ms;
    const changed = bars.filter((bar) => differs(this.#bars.get(bar.open_ms), bar));
    for (const bar of changed) this.#put(bar);
    this.#trim();
    return { changed, hole };
  }

  /** All bars, oldest first, with null for every interval in which there was none: [open_ms, bar or null]. */
  series() {
    const times = [...this.#bars.keys()].sort((a, b) => a - b);
    const result = [];
    let blanks = 0;
    times.forEach((time, i) => {
      for (let t = i > 0 ? times[i - 1] + this.ms : time; t < time && blanks < MOST_BLANKS; t += this.ms) {
        result.push([t, null]);
        blanks += 1;
      }
      result.push([time, this.#bars.get(time)]);
    });
    return result;
  }

  #put(bar) {
    this.#bars.set(bar.open_ms, bar);
    if (this.#last === null || bar.open_ms > this.#last) this.#last = bar.open_ms;
  }

  #trim() {
    if (this.#bars.size <= MOST_BARS) return;
    const times = [...this.#bars.keys()].sort((a, b) => a - b);
    for (const time of times.slice(0, times.length - MOST_BARS)) this.#bars.delete(time);
  }
}

function differs(held, bar) {
  if (!held) return true;
  return ["open", "high", "low", "close", "base_volume", "closed"].some((name) => held[name] !== bar[name]);
}
