/** The `portfolio` frame made ready for the screen: what may be believed of it, shares, ages, sources. Pure. */

import * as decimal from "./decimal.js";
import { exchangeName } from "./exchanges.js";
import * as format from "./format.js";

/** A frame comes once a second; one that is older than this is not what the accounts are worth now. */
const OLD_MS = 5000;

/** Digits after the point of an amount in one of the currencies that a portfolio may be valued in. */
export function moneyPlaces(currency) {
  return currency === "BTC" ? 8 : 2;
}

/** Money in a currency; NONE where it is not known. */
export function money(text, currency, options) {
  return format.plain(text, moneyPlaces(currency), options);
}

/**
 * How far the total may be believed. An incomplete one is of this moment and lacks something; a stale one is old.
 * @param status of Store.status()  @param data of the frame, null without one
 * @returns {{state: string, word: string, reason: string}} `state` is one of docs/protocol.md section 2.6
 */
export function standing(status, data, frameState = "LIVE") {
  const say = (state, reason, word = state) => ({ state, word, reason });
  if (!data) return say(status.state, status.reason || "The portfolio is being made.");
  if (status.reason) return say("STALE", status.reason);
  if (status.ageMs !== null && status.ageMs > OLD_MS)
    return say("STALE", `The worker has told nothing for ${format.age(status.ageMs)}.`);
  if (!data.complete) return say("POLLED", data.problems.join(" "), "INCOMPLETE");
  if (frameState !== "LIVE") return say("STALE", "The worker is silent.");
  return say("LIVE", "Every balance has a live price, every account is followed.");
}

/** The first sentence, and how many more there are. */
export function firstOf(sentences) {
  const more = sentences.length - 1;
  return `${sentences[0] ?? ""}${more > 0 ? ` (and ${more} more)` : ""}`;
}

/** Sum of texts as a Dec; nulls count as nothing. */
export function sum(texts) {
  return texts.reduce(
    (total, text) => (text === null || text === undefined ? total : decimal.add(total, decimal.parse(text))),
    decimal.ZERO,
  );
}

/** Age of the oldest price that is in the total, in ms; null where no market's price is in it. */
export function oldestPriceMs(data, laterMs) {
  const ages = data.assets.filter(({ markets }) => markets.length > 0).map((row) => row.price_age_ms);
  if (ages.length === 0) return null;
  return ages.some((age) => !Number.isFinite(age)) ? Infinity : Math.max(...ages) + laterMs;
}

/** How many of the prices in the total are live: [live, all]. */
export function livePrices(data) {
  const priced = data.assets.filter(({ markets }) => markets.length > 0);
  return [priced.filter((row) => row.live).length, priced.length];
}

/**
 * Assets with their share: of the sum of all values without sign, so that what is owed does not make the others more
 * than everything.
 */
export function withShares(assets) {
  const all = assets.reduce(
    (total, row) => decimal.add(total, decimal.absolute(decimal.parse(row.value))),
    decimal.ZERO,
  );
  return assets.map((row) => ({
    ...row,
    share: all.n === 0n ? null : decimal.divide(decimal.parse(row.value), all, 6),
  }));
}

/**
 * Where a price comes from and how old it is: "3 s · BTC → USDT · Binance", with every market in `title`.
 * @param row an asset or a holding: {path, markets, price_age_ms, live}
 */
export function source(row, laterMs) {
  if (!row.path || row.path.length === 0) return { text: "no price", title: "No market leads to a price", stale: true };
  if (row.markets.length === 0) return { text: "the currency itself", title: null, stale: false };
  const exchanges = [...new Set(row.markets.map(({ exchange }) => exchangeName(exchange)))];
  const age = Number.isFinite(row.price_age_ms) ? format.age(row.price_age_ms + laterMs) : "age unknown";
  const steps = row.markets.map(({ exchange, symbol }) => `${exchangeName(exchange)} ${symbol}`);
  return {
    text: `${row.live ? "" : "STALE "}${age} · ${row.path.join(" → ")} · ${exchanges.join(", ")}`,
    title: `Middle of ${steps.join(", then ")}; ${row.live ? "" : "not live, "}${age} old`.replace("now old", "below 1 s old"),
    stale: !row.live,
  };
}

/** What of a holding has no known cost, as a Dec; zero where all has one. */
export function withoutCost(row) {
  const rest = decimal.subtract(decimal.parse(row.total), decimal.parse(row.size));
  return rest.n > 0n ? rest : decimal.ZERO;
}

/** An amount of a coin: its own digits without what says nothing. */
export function amount(text) {
  return text === null || text === undefined ? format.NONE : format.fixed(decimal.normalize(decimal.parse(text)));
}

/** The price of one unit, which may be computed: seven figures, at least two of them after the point. */
export function unitPrice(text) {
  if (text === null || text === undefined) return format.NONE;
  const d = decimal.parse(text);
  const whole = decimal.absolute(d).n / decimal.power(d.places);
  return format.price(d, Math.max(2, Math.min(d.places, whole === 0n ? 10 : 7 - whole.toString().length)));
}

/** "buy" or "sell" as the sign of a profit, "" for nothing and for what is not known. */
export function tone(text) {
  const d = decimal.parseOrNull(text);
  return d === null || d.n === 0n ? "" : d.n > 0n ? "buy" : "sell";
}

/** Keeps rows in the places that they had when they were first seen, so that moving values do not make them jump. */
export class StableOrder {
  #keyOf;
  #worth;
  #places = new Map();

  /** @param worth row -> number to sort by, largest first, when rows come or go */
  constructor(keyOf, worth) {
    this.#keyOf = keyOf;
    this.#worth = worth;
  }

  sort(rows) {
    const keys = new Set(rows.map(this.#keyOf));
    const same = keys.size === this.#places.size && [...keys].every((key) => this.#places.has(key));
    if (!same) {
      const sorted = rows.toSorted(
        (a, b) => this.#worth(b) - this.#worth(a) || this.#keyOf(a).localeCompare(this.#keyOf(b)),
      );
      this.#places = new Map(sorted.map((row, i) => [this.#keyOf(row), i]));
    }
    return rows.toSorted((a, b) => this.#places.get(this.#keyOf(a)) - this.#places.get(this.#keyOf(b)));
  }
}
