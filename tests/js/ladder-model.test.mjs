import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parse, text } from "../../static/js/decimal.js";
import * as model from "../../static/js/ladder-model.js";

const DATA = {
  price_decimals: 2,
  size_decimals: 3,
  bids: [
    [10000, 1000],
    [9998, 2500],
    [9995, 500],
  ],
  asks: [
    [10001, 250],
    [10004, 750],
  ],
  bid: [10000, 1000],
  ask: [10001, 250],
};
const base = { rows: 25, unit: "base" };

describe("rows", () => {
  it("print every place, and sum from the middle outwards", () => {
    const { bids, asks } = model.build(DATA, base);
    assert.deepEqual(
      bids.map((row) => [row.priceText, row.sizeText, row.totalText]),
      [
        ["100.00", "1.000", "1.000"],
        ["99.98", "2.500", "3.500"],
        ["99.95", "0.500", "4.000"],
      ],
    );
    assert.deepEqual(
      asks.map((row) => row.totalText),
      ["0.250", "1.000"],
    );
  });

  it("have bars on the scale of the larger side's last visible total", () => {
    const { bids, asks } = model.build(DATA, base);
    assert.deepEqual(
      bids.map((row) => row.bar),
      [0.25, 0.875, 1],
    );
    assert.deepEqual(
      asks.map((row) => row.bar),
      [0.0625, 0.25],
    );
  });

  it("are cut to what is visible, and the scale with them", () => {
    const { bids, asks } = model.build(DATA, { rows: 1, unit: "base" });
    assert.equal(bids.length, 1);
    assert.equal(bids[0].bar, 1);
    assert.equal(asks[0].bar, 0.25);
  });

  it("count in quote currency exactly", () => {
    const { asks } = model.build(DATA, { rows: 25, unit: "quote" });
    assert.equal(text(asks[0].cumulative), "25.00250");
    assert.equal(text(asks[1].cumulative), "100.03250");
    assert.equal(asks[1].totalText, "100.0");
  });

  it("of a crossed or locked book are not made", () => {
    for (const ask of [9999, 10000]) {
      const crossed = { ...DATA, ask: [ask, 1] };
      const built = model.build(crossed, base);
      assert.equal(built.crossed, true);
      assert.deepEqual([built.asks, built.bids], [[], []]);
      assert.equal(model.middle(crossed, "0.01"), null);
    }
  });

  it("of an empty book are none", () => {
    const built = model.build({ ...DATA, bids: [], asks: [], bid: null, ask: null }, base);
    assert.deepEqual([built.crossed, built.asks, built.bids], [false, [], []]);
  });
});

describe("middle", () => {
  it("is exact", () => {
    const { spread, ticks, bps, mid } = model.middle(DATA, "0.01");
    assert.equal(text(spread), "0.01");
    assert.equal(ticks, "1");
    assert.equal(text(bps), "1.0000");
    assert.equal(text(mid), "100.005");
  });

  it("comes from the ungrouped best prices, not from grouped rows", () => {
    const grouped = { ...DATA, bids: [[10000, 1]], asks: [[10100, 1]], step: "1" };
    assert.equal(text(model.middle(grouped, "0.01").spread), "0.01");
  });

  it("is not there if a side is empty", () => {
    assert.equal(model.middle({ ...DATA, ask: null }, "0.01"), null);
    assert.equal(model.middle({ ...DATA, bid: null }, "0.01"), null);
  });

  it("knows no ticks without a tick", () => assert.equal(model.middle(DATA, undefined).ticks, "–"));
  it("tells half ticks", () => assert.equal(model.ticksOf(parse("0.75"), "0.5"), "1.5"));
});

describe("sweep", () => {
  const { bids, asks } = model.build(DATA, base);
  const mid = parse("100.005");

  it("averages by size", () => {
    const cost = model.sweep(asks, 1, mid);
    assert.equal(text(cost.base), "1.000");
    assert.equal(text(cost.quote), "100.03250");
    assert.equal(text(cost.average), "100.033");
    assert.equal(text(cost.slippage), "2.7999");
  });

  it("slips upwards from zero on both sides", () => {
    assert.ok(model.sweep(bids, 2, mid).slippage.n > 0n);
  });

  it("of a blank row is nothing", () => assert.equal(model.sweep(asks, 2, mid), null));
});

describe("grouping steps", () => {
  it("are 1-2-5 times powers of ten of the tick", () => {
    assert.deepEqual(model.steps("0.01").slice(0, 7), ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
    assert.deepEqual(model.steps("0.5").slice(0, 4), ["0.5", "1", "2.5", "5"]);
  });
  it("end at a fiftieth of the price", () => assert.equal(model.steps("0.01", parse("61837.63")).at(-1), "1000"));
  it("keep the tick however large it is", () => assert.deepEqual(model.steps("5", parse("10.0")), ["5"]));
  it("name the topic in canonical spelling", () => {
    assert.equal(model.bookTopic("kraken", "BTC/USD", "10", "0.1"), "book@10:kraken:BTC/USD");
    assert.equal(model.bookTopic("kraken", "BTC/USD", "0.1", "0.10"), "book:kraken:BTC/USD");
    assert.equal(model.bookTopic("kraken", "BTC/USD", null, undefined), "book:kraken:BTC/USD");
  });
});

describe("own orders", () => {
  const { bids } = model.build(DATA, base);
  it("stand at their very price in the ungrouped book", () => {
    assert.equal(model.rowOf(bids, parse("99.98"), true), 1);
    assert.equal(model.rowOf(bids, parse("99.97"), true), -1);
  });
  it("stand in the row that they are rounded to in a grouped one", () => {
    const grouped = model.build(
      {
        ...DATA,
        bids: [
          [10000, 1],
          [9950, 1],
        ],
      },
      base,
    ).bids;
    assert.equal(model.rowOf(grouped, parse("99.73"), true, parse("0.5")), 1);
    assert.equal(model.rowOf(grouped, parse("101"), true, parse("0.5")), -1);
  });
});

describe("share of the bids", () => {
  it("is of the visible totals", () => assert.equal(model.bidShare(model.build(DATA, base)), 80));
  it("of an empty book is unknown", () => assert.equal(model.bidShare({ bids: [], asks: [] }), null));
});

describe("row heights", () => {
  const limits = { rows: 25, least: 18, most: 24, middle: 44 };
  for (const available of [420, 553, 685, 700, 777, 944]) {
    it(`fill ${available} px with whole rows`, () => {
      const { row, middle } = model.heights(available, limits);
      assert.ok(row >= 18 && row <= 24);
      const half = (available - middle) / 2;
      const shown = half / row;
      assert.ok(Math.abs(shown - Math.round(shown)) * row < 1, `${shown} rows of ${row} px beside ${middle} px`);
    });
  }
  it("never let the middle grow beyond double", () => {
    assert.equal(model.heights(3000, limits).middle, 88);
  });
});
