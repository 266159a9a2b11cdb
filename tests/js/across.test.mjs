import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import * as model from "../../static/js/across-model.js";
import { parse, text } from "../../static/js/decimal.js";
import { walk, walkText } from "../../static/js/walk-model.js";

// What the worker sent and the REST API answered: three ungrouped frames and one in steps of 0.5, with `merged` rows.
const FRAMES = JSON.parse(readFileSync(new URL("frames/across.json", import.meta.url)));
const UNGROUPED = FRAMES.filter((frame) => !frame.step);
const NONE = new Set();
const base = { rows: 25, unit: "base", off: NONE };

const leg = (exchange, bids, asks, more = {}) => ({
  exchange,
  symbol: "BTC/USDT",
  state: "LIVE",
  reason: "",
  usable: true,
  age_ms: 5,
  rate: null,
  bids,
  asks,
  reach: [null, null],
  ...more,
});
const frame = (...legs) => ({
  symbol: "BTC/USDT",
  base: "BTC",
  quote: "USDT",
  price_decimals: 2,
  size_decimals: 3,
  legs,
  bid: null,
  ask: null,
  mid: null,
  microprice: null,
  imbalance: null,
  band: null,
});

describe("merged rows", () => {
  for (const [number, data] of FRAMES.entries()) {
    it(`are those of the REST API, frame ${number}`, () => {
      for (const side of ["bids", "asks"]) {
        const rows = model.merge(data.legs, side, model.wanted(data.legs, NONE));
        assert.deepEqual(
          rows.map(({ price, size, shares }) => [price, size, shares]),
          data.merged[side],
        );
      }
    });
  }

  it("end where an exchange that has more says no more", () => {
    const short = leg("b", [[100, 1], [98, 1]], [], { reach: [98, null] });
    const long = leg("a", [[101, 1], [99, 1], [98, 2], [97, 5], [90, 5]], [], { reach: [90, null] });
    const prices = (...numbers) => model.merge([long, short], "bids", numbers).map((row) => row.price);
    assert.deepEqual(prices(0, 1), [101, 100, 99, 98]);
    assert.deepEqual(prices(0), [101, 99, 98, 97, 90]);
    assert.deepEqual(prices(), []);
  });

  it("are not cut where nothing is beyond", () => {
    const rows = model.merge([leg("a", [], [[5, 1]]), leg("b", [], [[6, 1], [9, 1]])], "asks", [0, 1]);
    assert.deepEqual(
      rows.map((row) => row.price),
      [5, 6, 9],
    );
  });
});

describe("figures", () => {
  for (const [number, data] of UNGROUPED.entries()) {
    it(`computed here equal the worker's, frame ${number}`, () => {
      // An exchange more that is usable, has nothing and is switched off: the rest is computed, not taken over.
      const legs = [...data.legs, leg("other", [], [])];
      const own = model.figures({ ...data, legs, bid: null, ask: null, mid: null, band: null }, new Set(["other"]));
      const told = model.figures(data, NONE);
      assert.deepEqual(own, told);
      assert.notEqual(own.mid, null);
    });
  }

  it("are of the exchanges that are left on", () => {
    const [data] = UNGROUPED;
    assert.notEqual(model.figures(data, NONE).band, null);
    for (const [i, { exchange }] of data.legs.entries()) {
      const { bid, ask, band, mid } = model.figures(data, new Set([exchange]));
      const other = data.legs[1 - i];
      assert.equal(bid.price.n, BigInt(other.bids[0][0]));
      assert.equal(ask.price.n, BigInt(other.asks[0][0]));
      assert.deepEqual([bid.legs, ask.legs], [[1 - i], [1 - i]]);
      assert.equal(mid.n, BigInt(other.bids[0][0] + other.asks[0][0]) * 5n);
      assert.equal(band, null);
    }
  });

  it("are those of docs/protocol.md for its example", () => {
    const first = leg("binance", [[8412012, 150000000]], [[8412013, 20000000]]);
    const data = { ...frame(first, leg("okx", [[1, 1]], [[9999999, 1]])), size_decimals: 8 };
    const { mid, micro, imbalance } = model.figures(data, new Set(["okx"]));
    assert.deepEqual([text(mid), text(micro), text(imbalance.value)], ["84120.125", "84120.1288", "0.7647"]);
  });

  it("of an empty side are not there", () => {
    const data = frame(leg("a", [[100, 1]], []), leg("b", [], [[101, 1]]));
    const { bid, ask, mid, band } = model.figures(data, new Set(["b"]));
    assert.equal(text(bid.price), "1.00");
    assert.deepEqual([ask, mid, band], [null, null, null]);
  });

  it("name the band's rows on both sides, and only those", () => {
    const data = frame(leg("a", [[100, 5], [99, 5]], [[103, 5]]), leg("b", [[95, 5]], [[99, 2], [100, 9], [101, 1]]));
    data.legs.push(leg("c", [], []));
    const figures = model.figures(data, new Set(["c"]));
    assert.equal(text(figures.band.bps), "101.01");
    assert.equal(text(figures.band.size), "0.005"); // 2 at 99 and 3 at 100 for the bid of 5; the one at 99 gets nothing
    const { asks, bids } = model.build(data, base);
    const inBand = (rows, isBid) => rows.filter((row) => model.inBand(row, isBid, figures)).map((row) => row.priceText);
    assert.deepEqual(inBand(asks, false), ["0.99", "1.00"]);
    assert.deepEqual(inBand(bids, true), ["1.00", "0.99"]);
  });
});

describe("the consolidated ladder", () => {
  const data = frame(
    leg("binance", [[100, 1000], [99, 2000]], [[101, 1000]]),
    leg("kraken", [[100, 3000]], [[102, 1000]]),
    leg("okx", [], [], { usable: false, state: "STALE" }),
  );

  it("splits bars by exchange, and sums from the middle outwards", () => {
    const { bids, asks } = model.build(data, base);
    assert.deepEqual(
      bids.map((row) => [row.priceText, row.sizeText, row.totalText, row.where]),
      [
        ["1.00", "4.000", "4.000", [1, 0]],
        ["0.99", "2.000", "6.000", [0]],
      ],
    );
    assert.deepEqual(bids[1].parts, [
      [0, 0, 0.5],
      [1, 0.5, 1],
    ]);
    assert.equal(asks.at(-1).bar, 0.3333);
    for (const row of [...bids, ...asks]) assert.ok(Math.abs(row.parts.at(-1)[2] - row.bar) < 1e-3);
  });

  it("has no part of an exchange that is off or not usable", () => {
    const { chosen, bids } = model.build(data, { ...base, off: new Set(["kraken"]) });
    assert.deepEqual(chosen, [0]);
    assert.deepEqual(
      bids.map((row) => row.totalText),
      ["1.000", "3.000"],
    );
    assert.deepEqual(model.build(data, { ...base, off: new Set(["kraken", "binance"]) }).bids, []);
  });

  it("counts in the quote too", () => {
    const { bids } = model.build(data, { ...base, unit: "quote" });
    assert.deepEqual(
      bids.map((row) => row.totalText),
      ["4.000", "5.980"],
    );
  });

  it("prints all sizes with the same places, fewer where they are large", () => {
    const large = { ...frame(leg("a", [[100, 123_456_789_012]], [[101, 1]])), size_decimals: 8 };
    const sizes = ({ bids, asks }) => [...bids, ...asks].map((row) => row.sizeText);
    assert.deepEqual(sizes(model.build(large, base)), ["1,234.568", "<0.001"]);
    large.legs[0].bids[0][1] = 1_234_567;
    assert.deepEqual(sizes(model.build(large, base)), ["0.01235", "<0.00001"]);
  });

  it("keeps no more rows than it shows", () => {
    assert.ok(UNGROUPED.every((one) => model.build(one, { ...base, rows: 7 }).asks.length === 7));
  });
});

describe("legs", () => {
  const rate = { bid: "0.999800", ask: "0.999900", market: "kraken USDT/USD", reason: "" };
  const legs = [leg("binance", [], []), leg("kraken", [], []), leg("kraken", [], [], { symbol: "BTC/USD", rate })];

  it("are told apart by their quote", () => {
    assert.deepEqual(legs.map(model.legKey), ["binance", "kraken", "kraken USD"]);
    assert.deepEqual(
      model.legNames(legs).map(({ short }) => short),
      ["BIN", "KRA USDT", "KRA USD"],
    );
    assert.deepEqual(model.wanted(legs, new Set(["kraken USD"])), [0, 1]);
  });

  it("say the rate of a tied quote", () => {
    assert.deepEqual(model.rateTexts(legs), ["USD × 0.999800 bid, 0.999900 ask (kraken USDT/USD)"]);
    const gone = { ...legs[2], rate: { ...rate, bid: null, ask: null, reason: "kraken USDT/USD is STALE." } };
    assert.deepEqual(model.rateTexts([gone]), ["USD kraken USDT/USD is STALE."]);
    assert.deepEqual(model.rateTexts([{ ...legs[2], rate: { ...rate, market: null } }]), ["USD at par"]);
  });

  it("have the finest tick of their markets, and a topic in each step", () => {
    const markets = ["0.10", "0.01", "0.5"].map((tick) => ({ symbol: "BTC/USDT", tick }));
    assert.equal(model.finestTick(markets, "BTC/USDT"), "0.01");
    assert.equal(model.finestTick(markets, "ETH/USDT"), null);
    assert.equal(model.acrossTopic("BTC/USDT", "0.01", "0.01"), "across:BTC/USDT");
    assert.equal(model.acrossTopic("BTC/USDT", "10.0", "0.01"), "across@10:BTC/USDT");
    assert.equal(model.acrossTopic("BTC/USDT", null, null), "across:BTC/USDT");
  });
});

describe("the walk into a book", () => {
  const data = frame(leg("a", [], [[100, 1000], [101, 3000], [105, 9000]]));
  const take = (size, rows = 25) => walk(data, 0, "asks", parse(size), rows);

  it("takes whole levels and a part of the last", () => {
    const { rows, levels, average, worst, whole } = take("2");
    assert.deepEqual(
      rows.map((row) => row.share),
      [1, 0.3333, 0],
    );
    assert.equal(levels, 2);
    assert.equal(text(average), "1.0050");
    assert.equal(text(worst), "1.01");
    assert.ok(whole);
    assert.deepEqual(walkText(take("2"), "BTC"), ["Ø 1.0050", "2 levels to 1.01"]);
    assert.deepEqual(walkText(take("1"), "BTC"), ["Ø 1.0000", "1 level to 1.00"]);
  });

  it("says how much there is where it is not enough", () => {
    assert.deepEqual(walkText(take("20"), "BTC"), ["Only 13 BTC", "in 3 levels shown"]);
    assert.deepEqual(walkText(walk(data, 0, "bids", parse("1"), 25), "BTC"), ["No levels", ""]);
  });

  it("goes on below the rows that are shown", () => {
    assert.equal(take("5", 1).rows.length, 1);
    assert.equal(take("5", 1).levels, 3);
  });
});
