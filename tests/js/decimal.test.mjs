import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as decimal from "../../static/js/decimal.js";

const { parse, text } = decimal;

describe("parse and text", () => {
  for (const [given, shown] of [
    ["0", "0"],
    ["1.50", "1.50"],
    ["-0.00000001", "-0.00000001"],
    ["+7", "7"],
    ["1E-8", "0.00000001"],
    ["1.5e3", "1500"],
    ["12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"],
    ["5.", "5"],
  ]) {
    it(`${given} is ${shown}`, () => assert.equal(text(parse(given)), shown));
  }

  for (const wrong of ["", "x", "1,5", "NaN", "Infinity", "1e99999", ".5", 1.5, null, undefined]) {
    it(`refuses ${String(wrong) || "the empty text"}`, () => assert.throws(() => parse(wrong), TypeError));
  }

  it("keeps null", () => assert.equal(decimal.parseOrNull(null), null));
});

describe("levels", () => {
  it("are exact below 2^53", () => assert.equal(text(decimal.fromInteger(6183763, 2)), "61837.63"));
  it("are read by 15 digits beyond it", () => {
    assert.equal(text(decimal.fromInteger(512345678901234567, 8)), "5123456789.01235000");
  });
  it("must be numbers", () => assert.throws(() => decimal.fromInteger(Number.NaN, 2), TypeError));
});

describe("arithmetic", () => {
  it("adds what floats cannot", () => assert.equal(text(decimal.add(parse("0.1"), parse("0.2"))), "0.3"));
  it("subtracts below zero", () => assert.equal(text(decimal.subtract(parse("1"), parse("1.005"))), "-0.005"));
  it("multiplies with all digits", () => {
    assert.equal(text(decimal.multiply(parse("61837.63"), parse("0.00001"))), "0.6183763");
  });
  it("divides with rounding half away from zero", () => {
    assert.equal(text(decimal.divide(parse("1"), parse("3"), 4)), "0.3333");
    assert.equal(text(decimal.divide(parse("1"), parse("8"), 2)), "0.13");
    assert.equal(text(decimal.divide(parse("-1"), parse("8"), 2)), "-0.13");
    assert.equal(text(decimal.divide(parse("1.000"), parse("8"), 0)), "0");
  });
  it("refuses to divide by zero", () => assert.throws(() => decimal.divide(parse("1"), parse("0.00"), 2), RangeError));
  it("rescales both ways", () => {
    assert.equal(text(decimal.rescale(parse("1.5"), 3)), "1.500");
    assert.equal(text(decimal.rescale(parse("0.995"), 2)), "1.00");
    assert.equal(text(decimal.rescale(parse("-2.5"), 0)), "-3");
  });
  it("normalizes only behind the point", () => {
    assert.equal(text(decimal.normalize(parse("100.500"))), "100.5");
    assert.equal(text(decimal.normalize(parse("100.0"))), "100");
  });
  it("compares across places", () => {
    assert.equal(decimal.compare(parse("1.50"), parse("1.5")), 0);
    assert.ok(decimal.compare(parse("-1"), parse("0.0001")) < 0);
  });

  it("agrees with integers on random numbers", () => {
    let seed = 42;
    const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648);
    for (let i = 0; i < 500; i += 1) {
      const a = { n: BigInt(random() - 1073741824), places: random() % 9 };
      const b = { n: BigInt(random() - 1073741824), places: random() % 9 };
      const sum = decimal.add(a, b);
      const back = decimal.subtract(sum, b);
      assert.equal(decimal.compare(back, a), 0);
      assert.equal(decimal.compare(parse(text(a)), a), 0);
      if (b.n !== 0n) {
        const product = decimal.multiply(a, b);
        assert.equal(decimal.compare(decimal.divide(product, b, a.places), a), 0);
      }
    }
  });
});
