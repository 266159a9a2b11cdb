import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parse, text } from "../../static/js/decimal.js";
import * as model from "../../static/js/matrix-model.js";

const leg = (exchange, more = {}) => ({
  exchange,
  symbol: "BTC/USDT",
  state: "LIVE",
  reason: "",
  usable: true,
  age_ms: 0,
  rate: null,
  fee_bps: "10",
  fee_source: "default",
  buy: { average: "84120.13", worst: "84120.13", cost: "42060.065", available: "0.5" },
  sell: { average: "84119.9", worst: "84119.5", cost: "42059.95", available: "0.5" },
  ...more,
});
// The example of docs/protocol.md section 2.8.
const DATA = {
  symbol: "BTC/USDT",
  base: "BTC",
  quote: "USDT",
  size: "0.5",
  fees: "taker",
  since_ms: 1795220400000,
  legs: [
    leg("binance"),
    leg("kraken", {
      age_ms: 100,
      fee_bps: "40",
      fee_source: "user",
      buy: { average: null, worst: null, cost: null, available: "0.31" },
      sell: { average: "84160", worst: "84155", cost: "42080", available: "0.5" },
    }),
  ],
  pairs: [
    {
      buy: 0,
      sell: 1,
      gross_bps: "4.7396",
      net_bps: "-45.2794",
      gross: "19.935",
      net: "-190.445065",
      positive_since_ms: null,
      largest_bps: "-3.1",
      largest_ms: 1795220700000,
      reason: "",
    },
    {
      buy: 1,
      sell: 0,
      gross_bps: null,
      net_bps: null,
      gross: null,
      net: null,
      positive_since_ms: null,
      largest_bps: null,
      largest_ms: null,
      reason: "kraken asks: only 0.31 of 0.5 BTC.",
    },
  ],
};
const NOW = { nowMs: 1795221000000, laterMs: 900 };

describe("the matrix", () => {
  it("has rows that buy and columns that sell", () => {
    const cells = model.grid(DATA, 900);
    assert.deepEqual(
      cells.map((row) => row.map((cell) => cell?.text ?? null)),
      [
        [null, "−45.28"],
        ["–", null],
      ],
    );
    assert.equal(cells[0][1].ageMs, 1000, "that of the older leg, and what passed since");
    const never = { ...DATA, legs: [DATA.legs[0], { ...DATA.legs[1], age_ms: null }] };
    assert.equal(model.grid(never, 900)[0][1].ageMs, null);
    assert.deepEqual([cells[0][1].heat, cells[1][0].heat], [-3, null]);
  });

  it("is warmer the more is left, and never shows more than there is", () => {
    const heats = ["0.01", "2", "2.01", "9", "11", "30", "0", "-0.01", "-11", "-31", "-200"];
    assert.deepEqual(
      heats.map((bps) => model.heat(parse(bps))),
      [1, 1, 2, 3, 4, 5, 0, -1, -2, -3, -4],
    );
    assert.equal(model.bpsText(parse("7.2599")), "+7.25");
    assert.equal(model.bpsText(parse("-7.2511")), "−7.26");
    assert.equal(model.bpsText(parse("-0.0001")), "−0.01");
    assert.equal(model.bpsText(parse("1234.5")), "+1,234");
    assert.equal(model.bpsText(parse("-100.31")), "−100.4");
    assert.equal(model.bpsText(parse("0")), "0.00");
    assert.equal(text(model.floored(parse("-1.5"), 3)), "-1.500");
  });

  it("explains a pair with its formula, which adds up", () => {
    const { title, rows, formula, reason } = model.explain(DATA, DATA.pairs[0], NOW);
    assert.equal(title, "Buy on Binance, sell on Kraken");
    assert.equal(reason, "");
    assert.equal(rows.length, 8);
    const row = Object.fromEntries(rows);
    assert.equal(row.Net, "−45.28\u2009bps · −190.45 USDT");
    assert.equal(row.Gross, "+4.73\u2009bps · +19.94 USDT");
    assert.equal(row.Fees, "10 + 40*\u2009bps taker");
    assert.equal(row["Above zero"], "no");
    assert.equal(row["Largest so far"], "−3.10\u2009bps at 00:25:00");
    assert.equal(
      formula,
      "(42,080.00 − 42,060.07) − 10\u2009bps × 42,060.07 − 40\u2009bps × 42,080.00 = −190.45 USDT",
    );
    const rebate = { ...DATA, legs: [{ ...DATA.legs[0], fee_bps: "-0.5" }, DATA.legs[1]] };
    assert.match(model.explain(rebate, DATA.pairs[0], NOW).formula, /\) \+ 0\.5\u2009bps × 42,060\.07 − 40\u2009bps/);
    const older = model.explain(DATA, DATA.pairs[0], { ...NOW, nowMs: DATA.since_ms + 3_600_001 });
    assert.ok(Object.hasOwn(Object.fromEntries(older.rows), "Largest, 1 h"));
  });

  it("says why a pair cannot be computed", () => {
    const { rows, formula, reason } = model.explain(DATA, DATA.pairs[1], NOW);
    assert.equal(reason, "kraken asks: only 0.31 of 0.5 BTC.");
    assert.equal(formula, "");
    assert.equal(Object.fromEntries(rows)["Buy average"], "only 0.31 there · KRA");
    const away = { ...DATA, legs: [leg("binance", { usable: false, buy: null, sell: null }), DATA.legs[1]] };
    assert.equal(Object.fromEntries(model.explain(away, DATA.pairs[1], NOW).rows)["Sell average"], "– BIN");
  });

  it("finds pairs, the best of them, and how long one is above zero", () => {
    assert.equal(model.pairOf(DATA, 0, 1), DATA.pairs[0]);
    assert.equal(model.pairOf(DATA, 1, 1), null);
    assert.equal(model.bestPair(DATA), DATA.pairs[0]);
    assert.equal(model.bestPair({ pairs: [DATA.pairs[1]] }), null);
    assert.equal(model.positiveMs({ positive_since_ms: 1000 }, 4500), 3500);
    assert.equal(model.positiveMs({ positive_since_ms: 5000 }, 4500), 0);
    assert.equal(model.positiveMs(DATA.pairs[0], 4500), null);
  });

  it("says more where there is room", () => {
    assert.equal(model.moreText(DATA.pairs[0]), "gross +4.73 · most −3.10");
    assert.equal(model.moreText(DATA.pairs[1]), "");
  });

  it("has a topic in its canonical spelling", () => {
    assert.equal(model.matrixTopic("BTC/USDT", "0.5", "taker"), "matrix@0.5:BTC/USDT");
    assert.equal(model.matrixTopic("BTC/USDT", "0.5", "maker"), "matrix@0.5,maker:BTC/USDT");
  });
});

describe("sizes", () => {
  it("go up and down in round steps, and back", () => {
    const up = ["0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20"];
    for (let i = 1; i < up.length; i += 1) {
      assert.equal(model.stepSize(up[i - 1], 1), up[i]);
      assert.equal(model.stepSize(up[i], -1), up[i - 1]);
    }
    assert.equal(model.stepSize("0.37", 1), "0.5");
    assert.equal(model.stepSize("0.37", -1), "0.2");
    assert.equal(model.stepSize("7", -1), "5");
    assert.equal(model.stepSize("120", -1), "100");
  });

  it("begin with a round one of about 10,000, which every exchange takes", () => {
    const market = (min, lot) => ({ min_size: min, lot });
    const usual = (price, ...markets) => model.usualSize(markets, parse(price));
    assert.equal(usual("84000.1", market("0.0001", "0.00001")), "0.1");
    assert.equal(usual("3200", market("0.001", "0.0001")), "2");
    assert.equal(usual("0.00000812", market("1", "1")), "1000000000");
    assert.equal(usual("84000", market("0.0001", "0.00001"), market("1", "1")), "1");
    assert.equal(usual("84000", market(null, "0.00001")), "0.1");
  });

  it("are read from what is typed", () => {
    assert.equal(model.readSize(" 0,50 "), "0.5");
    assert.equal(model.readSize("1000"), "1000");
    for (const wrong of ["", "0", "0.0", "-1", "1e5", "abc", "1.2.3", "99999999999999"]) {
      assert.equal(model.readSize(wrong), null);
    }
  });
});
