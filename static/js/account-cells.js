/** Cells that the account tables share. */

import * as decimal from "./decimal.js";
import * as format from "./format.js";
import { exchangeName } from "./instruments.js";

/** The market of a row, with its account below and SIM where data are simulated. */
export function marketCell(app, row, account, status) {
  const [pair, settle] = row.symbol.split(":");
  const tags = [];
  if (settle) tags.push({ text: "PERP" });
  if (row.margin === true) tags.push({ text: "MARGIN", title: "On borrowed money: its profit is among the transfers" });
  if (isSimulated(app, account)) tags.push({ text: "SIM", class: "tag-sim", title: "Simulated: no real money" });
  return { text: pair, tags, class: "strong", sub: accountName(account), title: stateTitle(status) };
}

/** "Main · Kraken"; an account that is called like its exchange has that name alone. */
export function accountName({ label, exchange }) {
  const name = exchangeName(exchange);
  return label === name ? name : `${label} · ${name}`;
}

export function isSimulated(app, account) {
  return Boolean(account.simulated) || app.store.isSimulated(account.exchange);
}

export function stateTitle(status) {
  return status ? `${status.state}${status.reason ? `: ${status.reason}` : ""}` : null;
}

/** Age of a row now: as told in the frame, and the time since; below it the state, where the account is not followed. */
export function ageCell(ageMs, sinceMs, status) {
  const now = Number.isFinite(ageMs) ? ageMs + (Number.isFinite(sinceMs) ? sinceMs : 0) : Number.NaN;
  if (status.usable) return { text: format.age(now), class: "dim" };
  return { text: format.age(now), class: "warn", sub: status.state, subClass: "warn", title: stateTitle(status) };
}

/** A price in the market's own digits, or more where it has more (an average of fills). */
export function priceText(app, row, account, text) {
  return inSteps(text, marketOf(app, row, account)?.tick);
}

/** A price that is computed (average entry, mark, liquidation): in the market's digits, the whole of it on hover. */
export function roundedPrice(app, row, account, text) {
  const tick = marketOf(app, row, account)?.tick;
  if (text === null || text === undefined || !tick) return { text: inSteps(text, tick) };
  return { text: format.plain(text, format.placesOf(tick)), title: format.plain(text) };
}

/** A size in the market's own digits, or more where it has more. */
export function sizeText(app, row, account, text) {
  return inSteps(text, marketOf(app, row, account)?.lot);
}

function marketOf(app, row, account) {
  return app.instruments.get(`${account.exchange}:${row.symbol}`);
}

function inSteps(text, step) {
  if (text === null || text === undefined) return format.NONE;
  const d = decimal.absolute(decimal.normalize(decimal.parse(text)));
  return format.fixed(d, step ? Math.max(d.places, format.placesOf(step)) : undefined);
}

export function sideCell(side) {
  return { text: side === "buy" ? "Buy" : "Sell", class: side === "buy" ? "buy up" : "sell down" };
}

/** A fee in its own asset; negative was paid to us. */
export function feeCell(row) {
  if (row.fee === null || row.fee === undefined) return { text: "not told", class: "dim" };
  const amount = decimal.normalize(decimal.parse(row.fee));
  return {
    text: `${format.fixed(amount)} ${row.fee_asset ?? ""}`.trim(),
    class: amount.n < 0n ? "buy" : "",
    title: amount.n < 0n ? "Rebate" : null,
  };
}

export function realisedCell(row) {
  if (row.realised === null || row.realised === undefined) return { text: format.NONE, class: "dim" };
  const amount = decimal.parse(row.realised);
  return {
    text: format.fixed(amount, 2, { plus: true }),
    class: amount.n > 0n ? "buy" : amount.n < 0n ? "sell" : "dim",
  };
}

/** Maker or taker, where the exchange tells it. */
export function roleCell({ maker }) {
  return { text: maker === null || maker === undefined ? format.NONE : maker ? "maker" : "taker", class: "dim" };
}
