/**
 * What balances are worth, from the mids of quotes that are usable now. Pure and exact.
 *
 * Nothing is guessed: an asset without a usable quote, direct or through one other currency, is listed as unpriced.
 */

import * as decimal from "./decimal.js";

/** The markets whose quotes value these assets: direct ones into `target`, and bridges through `via`. */
export function quotesNeeded(assets, markets, { target = "USDT", via = ["USD", "USDC", "BTC"] } = {}) {
  const wanted = new Map();
  const spot = markets.filter((market) => market.product === "spot");
  const find = (base, quote) => spot.find((market) => market.base === base && market.quote === quote);
  for (const asset of assets) {
    if (asset === target) continue;
    const path = route(asset, target, via, find);
    if (path) wanted.set(asset, path);
  }
  return wanted;
}

/** Legs from asset to target: each a market, and whether its price is to be inverted. */
function route(asset, target, via, find) {
  const leg = (from, to) => {
    const direct = find(from, to);
    if (direct) return { market: direct, invert: false };
    const inverse = find(to, from);
    return inverse ? { market: inverse, invert: true } : null;
  };
  const direct = leg(asset, target);
  if (direct) return [direct];
  for (const middle of via) {
    if (middle === asset || middle === target) continue;
    const first = leg(asset, middle);
    const second = first && leg(middle, target);
    if (second) return [first, second];
  }
  return null;
}

/**
 * @param {{asset: string, total: string}[]} balances
 * @param {Map<string, object[]>} routes from quotesNeeded
 * @param {(market: object) => object|null} midOf the mid as Dec, null if the quote is not usable now
 * @returns {{total: object, prices: Map<string, object>, unpriced: string[]}}
 */
export function value(balances, routes, midOf, target = "USDT") {
  const prices = new Map();
  const used = new Map();
  const unpriced = new Set();
  let total = decimal.ZERO;
  for (const { asset, total: amount } of balances) {
    if (!prices.has(asset)) prices.set(asset, priceOf(asset, routes, midOf, target));
    const price = prices.get(asset);
    const held = decimal.parse(amount);
    if (held.n === 0n) continue;
    if (!price) {
      unpriced.add(asset);
      continue;
    }
    total = decimal.add(total, decimal.multiply(held, price));
    used.set(asset, price);
  }
  return { total, prices: used, unpriced: [...unpriced].sort() };
}

function priceOf(asset, routes, midOf, target) {
  if (asset === target) return decimal.ONE;
  const legs = routes.get(asset);
  if (!legs) return null;
  let price = decimal.ONE;
  for (const { market, invert } of legs) {
    const mid = midOf(market);
    if (!mid || mid.n <= 0n) return null;
    price = invert ? decimal.divide(price, mid, 18) : decimal.multiply(price, mid);
  }
  return price;
}

/** The exact mid of a quote frame's data, or null if a side is missing. */
export function midOfQuote(data) {
  if (!data || data.bid === null || data.ask === null || data.bid === undefined || data.ask === undefined) return null;
  const sum = decimal.add(decimal.parse(data.bid), decimal.parse(data.ask));
  return { n: sum.n * 5n, places: sum.places + 1 };
}
