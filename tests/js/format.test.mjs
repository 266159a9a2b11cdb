import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parse } from "../../static/js/decimal.js";
import * as format from "../../static/js/format.js";

const table = (name, fn, rows) =>
  describe(name, () => {
    for (const [args, shown] of rows) {
      it(`${JSON.stringify(args)} -> ${shown}`, () => assert.equal(fn(...[].concat(args)), shown));
    }
  });

table("fixed", (text, places, options) => format.fixed(parse(text), places, options), [
  [["61837.6", 2], "61,837.60"],
  [["-1234567.891", 2], "−1,234,567.89"],
  [["0", 0], "0"],
  [["999.995", 2], "1,000.00"],
  [["-0.001", 2], "0.00"],
  [["12.5", 1, { plus: true }], "+12.5"],
  [["0.00", 2, { plus: true }], "0.00"],
]);

table("price", (text, places) => format.price(parse(text), places), [
  [["61837.63"], "61,837.63"],
  [["0.00001230", 8], "0.0₄1230"],
  [["0.0001230", 7], "0.0001230"],
  [["0.00000000000012", 14], "0.0₁₂12"],
  [["0.00000000", 8], "0.00000000"],
]);

table("split", (text) => format.split(text).join("|"), [
  ["1.2500", "1.25|00"],
  ["3.0000", "3|.0000"],
  ["100", "100|"],
  ["0.10001", "0.10001|"],
]);

table("compact", (text) => format.compact(parse(text)), [
  ["0", "0.000"],
  ["0.5", "0.500"],
  ["618.3763", "618.4"],
  ["12345.6", "12.35K"],
  ["999960", "1.000M"],
  ["999940", "999.9K"],
  ["1234567", "1.235M"],
  ["-76000000", "−76.00M"],
  ["1234567890123456", "1,235T"],
]);

table("percent", (text) => format.percent(parse(text)), [
  ["0.0137", "+1.37\u2009%"],
  ["-0.00004", "0.00\u2009%"],
  ["-0.5", "−50.00\u2009%"],
]);

table("age", format.age, [
  [-5, "now"],
  [999, "now"],
  [4200, "4\u2009s"],
  [192_000, "3\u2009m 12\u2009s"],
  [7_500_000, "2\u2009h 05\u2009m"],
  [273_600_000, "3\u2009d 4\u2009h"],
  [Number.NaN, format.NONE],
]);

table("milliseconds", format.milliseconds, [
  [0.4249, "0.42"],
  [12.06, "12"],
  [340.4, "340"],
  [-3.21, "−3.2"],
  [null, format.NONE],
]);

describe("times", () => {
  it("are UTC", () => assert.equal(format.clock(1723161255308), "23:54:15"));
  it("with milliseconds", () => assert.equal(format.clock(1723161255308, { fraction: true }), "23:54:15.308"));
  it("count down", () => assert.equal(format.countdown(28_743_000), "07:59:03"));
});

describe("basis points", () => {
  it("are exact", () => assert.equal(format.fixed(format.basisPoints(parse("0.01"), parse("100.00"))), "1.0000"));
  it("need a base", () => assert.equal(format.basisPoints(parse("1"), parse("0")), null));
});

table("bpsText", (text) => format.bpsText(parse(text)), [
  ["1.2349", "1.23\u2009bps"],
  ["0.0049", "<0.01\u2009bps"],
  ["0", "0.00\u2009bps"],
]);

table("placesOf", format.placesOf, [
  ["0.10", 1],
  ["1E-8", 8],
  ["5", 0],
]);

describe("short ages", () => {
  it("are one figure and its unit", () => {
    const ages = [0, 999, 1000, 59_999, 60_000, 3_600_000, 86_400_000 * 2.9, Number.NaN].map(format.shortAge);
    assert.deepEqual(ages, ["now", "now", "1s", "59s", "1m", "1h", "2d", "–"]);
  });
});
