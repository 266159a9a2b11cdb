import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { text } from "../../static/js/decimal.js";
import * as equity from "../../static/js/equity-model.js";
import * as portfolio from "../../static/js/portfolio-model.js";

const asset = (name, value, more = {}) => ({
  asset: name,
  exchange: "binance",
  value,
  path: [name, "USDT"],
  markets: [{ exchange: "binance", symbol: `${name}/USDT` }],
  price_age_ms: 400,
  live: true,
  ...more,
});

describe("what may be believed of a portfolio", () => {
  const status = (more = {}) => ({ state: "LIVE", usable: true, reason: "", ageMs: 300, ...more });
  const data = (more = {}) => ({ complete: true, problems: [], ...more });

  it("is live while it is complete and young", () => {
    assert.equal(portfolio.standing(status(), data()).word, "LIVE");
  });

  it("says what is lacking", () => {
    const problems = ["SHIB has no price in USDT.", "Main is not followed."];
    const said = portfolio.standing(status({ state: "STALE" }), data({ complete: false, problems }), "STALE");
    assert.equal(said.word, "INCOMPLETE");
    assert.equal(said.reason, "SHIB has no price in USDT. Main is not followed.");
  });

  it("is stale when the connection broke, when the worker is silent, and when it is told so", () => {
    assert.equal(portfolio.standing(status({ reason: "the connection broke" }), data()).word, "STALE");
    assert.match(portfolio.standing(status({ ageMs: 6000 }), data()).reason, /for 6/);
    assert.equal(portfolio.standing(status(), data(), "STALE").word, "STALE");
    assert.equal(portfolio.standing(status({ ageMs: 6000 }), data({ complete: false })).word, "STALE");
  });

  it("says that there is none yet", () => {
    assert.equal(portfolio.standing(status({ state: "CONNECTING" }), null).state, "CONNECTING");
  });
});

describe("assets", () => {
  it("have shares that make one, of what is owed too", () => {
    const rows = portfolio.withShares([asset("BTC", "60"), asset("ETH", "30"), asset("USDT", "-10")]);
    assert.deepEqual(
      rows.map((row) => text(row.share)),
      ["0.600000", "0.300000", "-0.100000"],
    );
    assert.equal(portfolio.withShares([asset("BTC", "0")])[0].share, null);
  });

  it("tell where their price comes from, and how old it is now", () => {
    const age = (text) => text.replaceAll(/\s/g, " ");
    assert.equal(age(portfolio.source(asset("SOL", "1"), 2000).text), "2 s · SOL → USDT · Binance");
    const stale = portfolio.source(asset("SOL", "1", { live: false, price_age_ms: 61_000 }), 0);
    assert.equal(age(stale.text), "STALE 1 m 01 s · SOL → USDT · Binance");
    assert.ok(stale.stale);
    assert.equal(portfolio.source({ path: ["USDT"], markets: [], live: true }, 0).text, "the currency itself");
    assert.ok(portfolio.source({ path: null, markets: [] }, 0).stale);
    const two = [
      { exchange: "binance", symbol: "SOL/USDT" },
      { exchange: "kraken", symbol: "USDT/USD" },
    ];
    const far = portfolio.source(asset("SOL", "1", { path: ["SOL", "USDT", "USD"], markets: two }), 0);
    assert.match(far.text, /SOL → USDT → USD · Binance, Kraken$/);
    assert.equal(age(far.title), "Middle of Binance SOL/USDT, then Kraken USDT/USD; below 1 s old");
  });

  it("make the oldest price the portfolio's, and count the live ones", () => {
    const data = {
      assets: [asset("A", "1"), asset("B", "1", { price_age_ms: 900, live: false }), asset("C", "1", { markets: [] })],
    };
    assert.equal(portfolio.oldestPriceMs(data, 100), 1000);
    assert.deepEqual(portfolio.livePrices(data), [1, 2]);
    assert.equal(portfolio.oldestPriceMs({ assets: [asset("A", "1", { price_age_ms: null })] }, 0), Infinity);
    assert.equal(portfolio.oldestPriceMs({ assets: [] }, 0), null);
  });

  it("keep their places while values move, and are sorted when one comes", () => {
    const order = new portfolio.StableOrder(
      (row) => row.asset,
      (row) => Number(row.value),
    );
    const names = (rows) => order.sort(rows).map((row) => row.asset);
    assert.deepEqual(names([asset("A", "1"), asset("B", "2")]), ["B", "A"]);
    assert.deepEqual(names([asset("A", "3"), asset("B", "2")]), ["B", "A"]);
    assert.deepEqual(names([asset("A", "3"), asset("B", "2"), asset("C", "9")]), ["C", "A", "B"]);
  });
});

describe("money", () => {
  it("has the currency's digits, and is never a float", () => {
    assert.equal(portfolio.money("151678.09646025", "USDT"), "151,678.10");
    assert.equal(portfolio.money("1.8", "BTC"), "1.80000000");
    assert.equal(portfolio.money("90071992547409931.239", "USD"), "90,071,992,547,409,931.24");
    assert.equal(portfolio.money(null, "USD"), "–");
  });

  it("of one unit has seven figures, and never an exponent", () => {
    assert.equal(portfolio.unitPrice("3219.823456789"), "3,219.823");
    assert.equal(portfolio.unitPrice("84245.8"), "84,245.80");
    assert.equal(portfolio.unitPrice("0.204495"), "0.204495");
    assert.equal(portfolio.unitPrice("0.000008123456"), "0.0₅81235");
    assert.equal(portfolio.unitPrice(null), "–");
  });

  it("is summed exactly", () => {
    assert.equal(text(portfolio.sum(["0.1", "0.2", null])), "0.3");
  });

  it("tells what of a holding has no known cost", () => {
    assert.equal(text(portfolio.withoutCost({ total: "95.5", size: "90" })), "5.5");
    assert.equal(portfolio.withoutCost({ total: "90", size: "90" }).n, 0n);
  });
});

describe("equity curve", () => {
  const MINUTE = 60_000;
  const point = (minute, value = "100", complete = true) => ({
    at_ms: minute * MINUTE,
    value,
    complete,
    reason: complete ? "" : "ETH has no price.",
  });

  it("goes on to the next point, ends before a hole, and is doubtful beside what is incomplete", () => {
    const points = [point(0), point(1), point(2, "90", false), point(3), point(4), point(9)];
    assert.deepEqual(
      equity.curve(points, MINUTE).map(({ at_ms, made, next }) => [at_ms / MINUTE, made, next]),
      [
        [0, false, "line"],
        [1, false, "doubtful"],
        [2, false, "doubtful"],
        [3, false, "line"],
        [4, false, "line"],
        [5, true, "none"],
        [9, false, "line"],
        [10, true, "none"],
      ],
    );
    assert.equal(equity.incomplete(points), 1);
  });

  it("leaves moments without a value out", () => {
    const drawn = equity.curve([point(0), point(1, null, false), point(2)], MINUTE);
    assert.deepEqual(
      drawn.map(({ at_ms, next }) => [at_ms / MINUTE, next]),
      [
        [0, "line"],
        [1, "none"],
        [2, "line"],
        [3, "none"],
      ],
    );
  });

  it("rises in time", () => {
    const drawn = equity.curve([point(0), point(1.6), point(3.2)], MINUTE).map((one) => one.at_ms);
    assert.deepEqual(
      drawn,
      drawn.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(drawn).size, drawn.length);
  });

  it("marks transfers at the point before them", () => {
    const move = (ms, kind, amount, status = "done") => ({ exchange_ms: ms, kind, amount, asset: "BNB", status });
    const points = [point(1), point(2), point(3)];
    const found = equity.marks(
      [
        move(2.5 * MINUTE, "deposit", "2.40"),
        move(2.9 * MINUTE, "deposit", "1", "pending"),
        move(0, "deposit", "9"),
        move(1 * MINUTE, "withdrawal", "-750"),
        move(3 * MINUTE, "withdrawal", "-1", "failed"),
        move(3 * MINUTE, "internal", "-5"),
        move(3 * MINUTE, "fee", "-0.1"),
        move(3 * MINUTE, "funding", "-0.2"),
      ],
      points,
    );
    assert.deepEqual(
      found.map((mark) => [mark.at_ms / MINUTE, mark.kind, equity.markText(mark)]),
      [
        [1, "withdrawal", "−750 BNB"],
        [2, "deposit", "2 transfers"],
        [3, "withdrawal", "−5 BNB to another wallet"],
      ],
    );
    assert.equal(equity.transferText(move(0, "deposit", "2.40", "pending")), "+2.4 BNB (pending)");
    assert.deepEqual(equity.marks([move(0, "deposit", "1")], []), []);
  });

  it("moved between complete points alone", () => {
    const { amount, ratio } = equity.moved([point(0, "1", false), point(1, "200"), point(2, "250"), point(3, "9", false)]);
    assert.equal(text(amount), "50");
    assert.equal(text(ratio), "0.250000");
    assert.equal(equity.moved([point(0)]), null);
    assert.equal(equity.moved([point(0, "0"), point(1, "5")]).ratio, null);
  });

  it("asks for a span that ends now", () => {
    assert.deepEqual(equity.rangeQuery("1d", 100_000_000.5, "7"), { from: 13_600_000, to: 100_000_001, account: "7" });
    assert.deepEqual(equity.rangeQuery("all", 5, ""), { from: 0, to: 5, account: null });
  });
});
