/**
 * Exact decimal numbers for money, prices and sizes. A number is `{n, places}`: the BigInt n divided by 10^places.
 * Text in, text out; a JavaScript float is never in between.
 */

const SHAPE = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;
const POWERS = Array.from({ length: 40 }, (_, i) => 10n ** BigInt(i));

export const ZERO = Object.freeze({ n: 0n, places: 0 });
export const ONE = Object.freeze({ n: 1n, places: 0 });

/** @returns {bigint} 10 to the power of a non-negative integer */
export function power(places) {
  return places < POWERS.length ? POWERS[places] : 10n ** BigInt(places);
}

/** Parse decimal text ("-1.50", "1E-8"). Throws TypeError for anything else, numbers included. */
export function parse(text) {
  const match = typeof text === "string" ? SHAPE.exec(text) : null;
  if (!match) throw new TypeError(`not a decimal number: ${String(text)}`);
  const [, sign, whole, fraction = "", exponent = "0"] = match;
  let places = fraction.length - Number(exponent);
  let n = BigInt(whole + fraction);
  if (places < 0) {
    n *= power(-places);
    places = 0;
  }
  return { n: sign === "-" ? -n : n, places };
}

/** Like parse, but null for null and undefined: the protocol's "not known". */
export function parseOrNull(text) {
  return text === null || text === undefined ? null : parse(text);
}

/**
 * A level's integer (price in 10^-places). The server counts in floats of at most 15 digits, so a number beyond 2^53
 * is read by its first 15 digits; the rest of it is noise.
 */
export function fromInteger(value, places) {
  if (typeof value === "bigint") return { n: value, places };
  if (Number.isSafeInteger(value)) return { n: BigInt(value), places };
  if (!Number.isFinite(value)) throw new TypeError(`not an integer: ${String(value)}`);
  return { n: rescale(parse(value.toExponential(14)), 0).n, places };
}

/** The decimal text, without exponent, with exactly the number's places. */
export function text(d) {
  const digits = (d.n < 0n ? -d.n : d.n).toString().padStart(d.places + 1, "0");
  const sign = d.n < 0n ? "-" : "";
  if (d.places === 0) return sign + digits;
  return `${sign}${digits.slice(0, -d.places)}.${digits.slice(-d.places)}`;
}

export function add(a, b) {
  const places = Math.max(a.places, b.places);
  return { n: a.n * power(places - a.places) + b.n * power(places - b.places), places };
}

export function subtract(a, b) {
  return add(a, negate(b));
}

export function multiply(a, b) {
  return { n: a.n * b.n, places: a.places + b.places };
}

/** a / b, rounded half away from zero to `places`. Throws RangeError if b is zero. */
export function divide(a, b, places) {
  if (b.n === 0n) throw new RangeError("division by zero");
  const shift = places + b.places - a.places;
  const numerator = shift >= 0 ? a.n * power(shift) : a.n;
  const denominator = shift >= 0 ? b.n : b.n * power(-shift);
  return { n: roundedQuotient(numerator, denominator), places };
}

/** The same value with exactly `places` places, rounded half away from zero. */
export function rescale(d, places) {
  if (places >= d.places) return { n: d.n * power(places - d.places), places };
  return { n: roundedQuotient(d.n, power(d.places - places)), places };
}

/** The same value without trailing zeros after the point. */
export function normalize(d) {
  let { n, places } = d;
  while (places > 0 && n % 10n === 0n) {
    n /= 10n;
    places -= 1;
  }
  return { n, places };
}

export function negate(d) {
  return { n: -d.n, places: d.places };
}

export function absolute(d) {
  return d.n < 0n ? negate(d) : d;
}

/** -1, 0 or 1 */
export function sign(d) {
  return d.n < 0n ? -1 : d.n > 0n ? 1 : 0;
}

/** Negative, zero or positive, as a is less than, equal to or greater than b. */
export function compare(a, b) {
  return sign(subtract(a, b));
}

/** For pixels, colours and sorting only, never for what is printed. */
export function toNumber(d) {
  return Number(text(d));
}

function roundedQuotient(numerator, denominator) {
  const negative = numerator < 0n !== denominator < 0n;
  const n = numerator < 0n ? -numerator : numerator;
  const d = denominator < 0n ? -denominator : denominator;
  const quotient = (2n * n + d) / (2n * d);
  return negative ? -quotient : quotient;
}
