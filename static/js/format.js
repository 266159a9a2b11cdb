/** Numbers, times and ages as text for the screen. Pure; exact wherever money is concerned. */

import * as decimal from "./decimal.js";

export const NONE = "–";
const MINUS = "−";
const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";
const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1000, "s"],
];
const SUFFIXES = ["", "K", "M", "B", "T"];

/** "1234567" -> "1,234,567" */
export function grouped(digits) {
  if (digits.length < 4) return digits;
  let result = digits.slice(-3);
  for (let end = digits.length - 3; end > 0; end -= 3) result = `${digits.slice(Math.max(0, end - 3), end)},${result}`;
  return result;
}

/** A Dec with exactly `places` places (its own if left out), thousands grouped, a true minus sign. */
export function fixed(d, places = d.places, { plus = false } = {}) {
  const rounded = decimal.rescale(d, places);
  const [whole, fraction] = decimal.text(decimal.absolute(rounded)).split(".");
  const sign = rounded.n < 0n ? MINUS : plus && rounded.n > 0n ? "+" : "";
  return sign + grouped(whole) + (fraction === undefined ? "" : `.${fraction}`);
}

/** Decimal text with its own places; NONE for null. */
export function plain(text, places, options) {
  return text === null || text === undefined ? NONE : fixed(decimal.parse(text), places, options);
}

/** A price with the market's places. Tiny ones write their zeros as a subscript: 0.0₅123, never 1.23e-6. */
export function price(d, places = d.places) {
  const shown = fixed(d, places);
  const zeros = /^(−?)0\.(0{4,})([1-9]\d*)$/.exec(shown);
  if (!zeros) return shown;
  const count = [...String(zeros[2].length)].map((digit) => SUBSCRIPTS[Number(digit)]).join("");
  return `${zeros[1]}0.0${count}${zeros[3]}`;
}

/** Split printed digits into what says something and trailing zeros, to be dimmed: "1.2500" -> ["1.25", "00"]. */
export function split(shown) {
  const point = shown.indexOf(".");
  if (point < 0) return [shown, ""];
  let end = shown.length;
  while (end > point + 1 && shown.charCodeAt(end - 1) === 48) end -= 1;
  if (end === point + 1) end = point;
  return [shown.slice(0, end), shown.slice(end)];
}

/** Notional amounts with `digits` significant figures and a suffix: 1234567 -> "1.235M", 0.5 -> "0.500". */
export function compact(d, digits = 4) {
  const rounded = roundTo(decimal.absolute(d), digits - wholeDigits(d));
  const length = wholeDigits(rounded);
  const thousands = Math.min(SUFFIXES.length - 1, Math.floor(Math.max(0, length - 1) / 3));
  const scaled = { n: rounded.n, places: rounded.places + thousands * 3 };
  const places = Math.max(0, digits - Math.max(1, length - thousands * 3));
  return (d.n < 0n && rounded.n > 0n ? MINUS : "") + fixed(scaled, places) + SUFFIXES[thousands];
}

/** A ratio as percent: "0.0137" -> "+1.37 %". */
export function percent(d, places = 2, { plus = true } = {}) {
  return `${fixed({ n: d.n * 100n, places: d.places }, places, { plus })}\u2009%`;
}

/** A difference in basis points of a price, as a Dec; null if the price is zero. */
export function basisPoints(difference, price, places = 4) {
  if (price.n === 0n) return null;
  return decimal.divide({ n: difference.n * 10000n, places: difference.places }, price, places);
}

/** Basis points for the screen: "0.16 bps", and "<0.01 bps" for what is more than nothing. */
export function bpsText(bps) {
  const shown = fixed(decimal.rescale(bps, 2));
  return `${bps.n > 0n && /^[0.]+$/.test(shown) ? "<0.01" : shown}\u2009bps`;
}

/** How long ago, in words that do not flicker: "now", "4 s", "3 m 12 s", "2 h 05 m", "3 d 4 h". */
export function age(ms) {
  if (!Number.isFinite(ms)) return NONE;
  if (ms < 1000) return "now";
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s}\u2009s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m}\u2009m ${two(s % 60)}\u2009s`;
  const h = Math.floor(m / 60);
  if (h < 24) return `${h}\u2009h ${two(m % 60)}\u2009m`;
  return `${Math.floor(h / 24)}\u2009d ${h % 24}\u2009h`;
}

/** The same where there is little room: "now", "24s", "3m", "5h", "2d". */
export function shortAge(ms) {
  if (!Number.isFinite(ms)) return NONE;
  const [length, unit] = UNITS.find(([least]) => ms >= least) ?? [];
  return length ? `${Math.floor(ms / length)}${unit}` : "now";
}

/** Milliseconds of a latency: "0.42", "3.2", "340". */
export function milliseconds(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  const size = Math.abs(ms);
  return ms.toFixed(size < 1 ? 2 : size < 10 ? 1 : 0).replace("-", MINUS);
}

/** Time of day, UTC: "14:03:09" or, with fraction, "14:03:09.123". */
export function clock(ms, { fraction = false } = {}) {
  if (!Number.isFinite(ms)) return NONE;
  return new Date(ms).toISOString().slice(11, fraction ? 23 : 19);
}

/** Day and time, UTC: "2026-11-21 14:03:09". */
export function dateTime(ms) {
  if (!Number.isFinite(ms)) return NONE;
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

/** How long until, for a countdown: "07:59:03". */
export function countdown(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  return `${two(Math.floor(s / 3600))}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

/** Digits after the point that multiples of a step need: "0.10" -> 1, "1E-8" -> 8, "5" -> 0. */
export function placesOf(step) {
  return decimal.normalize(decimal.parse(step)).places;
}

function two(n) {
  return String(n).padStart(2, "0");
}

/** Digits before the point; 0 for numbers below one. */
function wholeDigits(d) {
  const whole = decimal.absolute(d).n / decimal.power(d.places);
  return whole === 0n ? 0 : whole.toString().length;
}

/** Round to `places`, which may be negative: roundTo(1234, -2) is 1200. */
function roundTo(d, places) {
  if (places >= 0) return decimal.rescale(d, places);
  const shifted = decimal.rescale({ n: d.n, places: d.places - places }, 0);
  return { n: shifted.n * decimal.power(-places), places: 0 };
}
