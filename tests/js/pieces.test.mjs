import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ChartData } from "../../static/js/chart-data.js";
import { parse, rescale, text } from "../../static/js/decimal.js";
import { Delays } from "../../static/js/delays.js";
import { FillsLog } from "../../static/js/fills-log.js";
import { filter, score } from "../../static/js/fuzzy.js";
import { Quantiles } from "../../static/js/latency.js";
import { Prefs } from "../../static/js/prefs.js";
import { Rate } from "../../static/js/rate.js";
import { Scheduler } from "../../static/js/scheduler.js";
import { empty, usable, worse } from "../../static/js/states.js";
import { noticeText } from "../../static/js/streams.js";
import { midOfQuote, quotesNeeded, value } from "../../static/js/valuation.js";

describe("notices", () => {
  it("are a sentence, with their times where told", () => {
    const row = (...notices) => ({ exchange: "kraken", notice: "all of it", notices });
    const from = Date.UTC(2026, 10, 27, 9, 0, 0);
    const told = (text, begins_ms = null, ends_ms = null) => ({ text, begins_ms, ends_ms });
    assert.equal(noticeText(row(told("It rests."))), "Kraken: It rests.");
    assert.match(noticeText(row(told("It rests.", from))), /^Kraken: It rests\. \(from .*09:00:00 UTC\)$/);
    assert.match(noticeText(row(told("A.", from, from + 60_000), told("B."))), /09:00:00 until .*09:01:00 UTC\) B\.$/);
    assert.equal(noticeText({ exchange: "kraken", notice: "No list." }), "Kraken: No list.");
  });
});

describe("fills log", () => {
  const rows = (...numbers) => numbers.map((row) => ({ row }));
  const frame = (...numbers) => ({
    fills: rows(...numbers),
    first_row: Math.min(...numbers),
    last_row: Math.max(...numbers),
  });

  it("keeps each row once, newest first, whatever order they come in", () => {
    const log = new FillsLog();
    assert.deepEqual(log.merge(rows(3, 2, 1)), rows(1, 2, 3));
    assert.deepEqual(log.merge(rows(5, 4, 3)), rows(4, 5));
    assert.deepEqual(log.merge(rows(5, 4)), []);
    assert.deepEqual(log.list(), rows(5, 4, 3, 2, 1));
  });

  it("completes a row whose fee is told later, and forgets no fee", () => {
    const log = new FillsLog();
    log.merge([{ row: 1, fee: null, age_ms: 5 }]);
    const held = log.list()[0];
    assert.deepEqual(log.merge([{ row: 1, fee: null, age_ms: 90 }]), []);
    assert.equal(log.list()[0], held, "the same row: nothing is to be drawn anew");
    assert.deepEqual(log.merge([{ row: 1, fee: "0.1", age_ms: 95 }]), []);
    assert.equal(log.list()[0].fee, "0.1");
    log.merge([{ row: 1, fee: null, age_ms: 99 }]);
    assert.equal(log.list()[0].fee, "0.1", "an answer that was asked for earlier");
  });

  it("sees a hole before a frame, and none where it joins", () => {
    const log = new FillsLog();
    assert.equal(log.missingBefore(frame(90, 91)), null);
    log.merge(rows(99, 100));
    assert.equal(log.missingBefore(frame(101, 102)), null);
    assert.equal(log.missingBefore(frame(60, 100)), null);
    assert.equal(log.missingBefore(frame(102, 150)), 100);
    assert.equal(log.missingBefore({ fills: [], first_row: null, last_row: null }), null);
  });

  it("sees a hole after an account without fills", () => {
    const log = new FillsLog();
    log.merge([]);
    assert.equal(log.missingBefore(frame(71, 120)), 0);
  });

  it("does not grow beyond 500 rows, and does not take old ones back", () => {
    const log = new FillsLog();
    for (let row = 1; row <= 3000; row += 1) log.merge(rows(row));
    assert.equal(log.size, 500);
    assert.equal(log.list().at(-1).row, 2501);
    assert.deepEqual(log.merge(rows(7)), []);
    assert.equal(log.newest, 3000);
  });
});

describe("chart data", () => {
  const bar = (minute, close = "1", closed = true) => ({
    open_ms: minute * 60_000,
    open: "1",
    high: "2",
    low: "1",
    close,
    base_volume: "3",
    closed,
  });

  it("leaves holes open", () => {
    const data = new ChartData("1m");
    data.addHistory([bar(1), bar(2), bar(5)]);
    assert.deepEqual(
      data.series().map(([time, held]) => [time / 60_000, held !== null]),
      [
        [1, true],
        [2, true],
        [3, false],
        [4, false],
        [5, true],
      ],
    );
  });

  it("changes only bars that differ", () => {
    const data = new ChartData("1m");
    data.addHistory([bar(1), bar(2, "1", false)]);
    assert.deepEqual(data.addLive([bar(1), bar(2, "1", false)]), { changed: [], hole: false });
    assert.deepEqual(data.addLive([bar(1), bar(2, "1.5", false)]).changed, [bar(2, "1.5", false)]);
    assert.equal(data.last.close, "1.5");
  });

  it("sees that bars are missing", () => {
    const data = new ChartData("1m");
    data.addHistory([bar(1)]);
    assert.equal(data.addLive([bar(2), bar(3)]).hole, false);
    assert.equal(data.addLive([bar(6), bar(7)]).hole, true);
  });

  it("does not let history overwrite a running bar, but closes it", () => {
    const data = new ChartData("1m");
    data.addLive([bar(1), bar(2, "9", false)]);
    data.addHistory([bar(2, "8", false)]);
    assert.equal(data.at(120_000).close, "9");
    data.addHistory([bar(2, "8", true)]);
    assert.equal(data.at(120_000).close, "8");
  });

  it("is bounded", () => {
    const data = new ChartData("1m");
    for (let minute = 0; minute < 4000; minute += 1) data.addLive([bar(minute)]);
    assert.equal(data.size, 1500);
    assert.equal(data.series()[0][0], 2500 * 60_000);
  });
});

describe("valuation", () => {
  const spot = (base, quote, exchange = "binance") => ({
    exchange,
    symbol: `${base}/${quote}`,
    product: "spot",
    base,
    quote,
  });
  const markets = [
    spot("BTC", "USDT"),
    spot("USDT", "USD", "kraken"),
    spot("XMR", "BTC"),
    { ...spot("LDO", "USDT"), product: "usdm" },
  ];
  const mids = { "BTC/USDT": parse("60000"), "USDT/USD": parse("0.9995"), "XMR/BTC": parse("0.0025") };
  const midOf = (market) => mids[market.symbol] ?? null;

  it("goes direct, inverted, and over one other currency", () => {
    const routes = quotesNeeded(["BTC", "USD", "XMR", "LDO", "USDT"], markets);
    assert.deepEqual([...routes.keys()], ["BTC", "USD", "XMR"]);
    const held = [
      { asset: "BTC", total: "0.5" },
      { asset: "XMR", total: "10" },
      { asset: "USDT", total: "1.25" },
      { asset: "USD", total: "1999" },
      { asset: "LDO", total: "7" },
      { asset: "GONE", total: "0.000" },
    ];
    const { total, unpriced } = value(held, routes, midOf);
    assert.deepEqual(unpriced, ["LDO"]);
    assert.equal(text(rescale(total, 2)), "33501.25"); // 30000 + 1500 + 1.25 + 1999 / 0.9995
  });

  it("does without quotes that are not usable", () => {
    const routes = quotesNeeded(["BTC"], markets);
    const { total, unpriced } = value([{ asset: "BTC", total: "1" }], routes, () => null);
    assert.deepEqual(unpriced, ["BTC"]);
    assert.equal(total.n, 0n);
  });

  it("takes the exact mid", () => {
    assert.equal(text(midOfQuote({ bid: "61837.63", ask: "61837.64" })), "61837.635");
    assert.equal(midOfQuote({ bid: null, ask: "1" }), null);
    assert.equal(midOfQuote(null), null);
  });
});

describe("fuzzy", () => {
  const items = ["ETH/BTC binance", "BTC/USD kraken", "BTC/USDT binance", "BCH/TRC binance"];
  const found = (query) => filter(query, items, (item) => item);

  it("prefers letters that stand together and begin words", () => assert.equal(found("btc")[0], "BTC/USD kraken"));
  it("takes words in any order", () => assert.deepEqual(found("kraken btc"), ["BTC/USD kraken"]));
  it("ignores the slash", () => assert.equal(found("btc/usdt")[0], "BTC/USDT binance"));
  it("finds letters that only the plain order reaches", () => assert.notEqual(score("ts", "atsd:t"), null));
  it("finds nothing rather than anything", () => assert.deepEqual(found("zzz"), []));
  it("keeps the order without a query, up to the limit", () => {
    assert.deepEqual(
      filter("", items, (item) => item, 2),
      items.slice(0, 2),
    );
  });
});

describe("quantiles and rates", () => {
  it("are of the last values only", () => {
    const quantiles = new Quantiles(100);
    for (let i = 1; i <= 1000; i += 1) quantiles.add(i);
    assert.deepEqual(quantiles.at(0.5, 0.99), [950, 999]);
    assert.deepEqual(new Quantiles().at(0.5), [null]);
  });

  it("count only finite values", () => {
    const quantiles = new Quantiles();
    quantiles.add(Number.NaN);
    assert.equal(quantiles.count, 0);
  });

  it("say nothing of too few frames", () => {
    const delays = new Delays();
    const frame = { topic: "book:binance:BTC/USDT", state: "LIVE", sent_us: 1_000_000 };
    for (let i = 0; i < 19; i += 1) delays.add(frame, 1_005_000);
    assert.deepEqual(delays.of(), [null, null]);
    delays.add(frame, 1_005_000);
    assert.deepEqual(delays.of("binance"), [5, 5]);
    assert.deepEqual(delays.of("kraken"), [null, null]);
    delays.reset();
    assert.deepEqual(delays.of(), [null, null]);
  });

  it("count per second over whole seconds", () => {
    let now = 0;
    const rate = new Rate(() => now);
    assert.equal(rate.perSecond(), null);
    for (; now < 3000; now += 100) rate.count();
    assert.equal(rate.perSecond(), 10);
    now += 60_000;
    assert.equal(rate.perSecond(), 0);
  });
});

describe("states", () => {
  it("follow the protocol's table", () => {
    assert.deepEqual(["LIVE", "QUIET", "SLOW", "POLLED"].map(usable), [true, true, true, true]);
    const others = ["CONNECTING", "SYNCING", "STALE", "RESYNC", "DOWN", "WHATEVER"];
    assert.ok(others.every((state) => !usable(state)));
    assert.ok(others.filter((state) => state !== "STALE").every(empty));
  });
  it("are told by the worse report", () => {
    assert.equal(worse({ state: "LIVE" }, { state: "DOWN" }).state, "DOWN");
    assert.equal(worse({ state: "STALE" }, { state: "LIVE" }).state, "STALE");
    assert.equal(worse(null, { state: "LIVE" }).state, "LIVE");
  });
});

describe("preferences", () => {
  const storage = (content) => {
    const held = new Map(content === undefined ? [] : [["spreadboard", content]]);
    return { getItem: (key) => held.get(key) ?? null, setItem: (key, text) => held.set(key, text), held };
  };

  it("outlive the page", () => {
    const kept = storage();
    new Prefs(kept).set("theme", "light");
    assert.equal(new Prefs(kept).get("theme"), "light");
    const [one, other] = [new Prefs(kept), new Prefs(kept)]; // two tabs
    one.setStep("binance:BTC/USDT", "0.5");
    other.set("unit", "quote");
    other.setStep("okx:BTC/USDT", "0.2");
    one.set("view", "across");
    const next = new Prefs(kept);
    assert.deepEqual([next.get("unit"), next.get("view")], ["quote", "across"]);
    assert.deepEqual(next.get("steps"), { "binance:BTC/USDT": "0.5", "okx:BTC/USDT": "0.2" });
  });
  for (const damaged of ["{", "null", "[]", '{"unknown": 1}']) {
    it(`fall back to the defaults from ${damaged}`, () =>
      assert.equal(new Prefs(storage(damaged)).get("theme"), "dark"));
  }
  it("work without storage", () => {
    const full = {
      getItem: () => null,
      setItem: () => {
        throw new Error("full");
      },
    };
    for (const kept of [null, full]) {
      const prefs = new Prefs(kept);
      prefs.set("theme", "light");
      assert.equal(prefs.get("theme"), "light");
    }
  });
  it("remember a bounded number of steps, the newest", () => {
    const prefs = new Prefs(storage());
    for (let i = 0; i < 500; i += 1) prefs.setStep(`x:${i}`, "1");
    assert.equal(Object.keys(prefs.get("steps")).length, 200);
    assert.equal(prefs.step("x:499"), "1");
    assert.equal(prefs.step("x:0"), null);
  });
  it("know their names", () => assert.throws(() => new Prefs(null).get("them"), /no such preference/));
});

describe("scheduler", () => {
  const make = () => {
    const frames = [];
    const paints = [];
    const scheduler = new Scheduler({
      requestFrame: (run) => frames.push(run),
      afterPaint: (run) => paints.push(run),
      setInterval: () => 1,
      clearInterval: () => {},
    });
    return { scheduler, frames, paints };
  };

  it("draws a view once per frame however often it is dirty", () => {
    const { scheduler, frames } = make();
    let drawn = 0;
    const view = { draw: () => (drawn += 1) };
    for (let i = 0; i < 100; i += 1) scheduler.invalidate(view);
    assert.equal(frames.length, 1);
    frames.shift()();
    assert.equal(drawn, 1);
    scheduler.invalidate(view);
    assert.equal(frames.length, 1);
  });

  it("reports what was there before the draw, after the paint", () => {
    const { scheduler, frames, paints } = make();
    let mark = 1;
    const painted = [];
    scheduler.beforeDraw = () => mark;
    scheduler.painted = (given) => painted.push(given);
    scheduler.request();
    frames.shift()();
    mark = 2;
    assert.deepEqual(painted, []);
    paints.shift()();
    assert.deepEqual(painted, [1]);
  });

  it("reports a broken view once, and draws its neighbours", () => {
    const { scheduler, frames } = make();
    const failures = [];
    let drawn = 0;
    scheduler.failed = (error) => failures.push(error.message);
    const broken = {
      draw: () => {
        throw new Error("broken");
      },
    };
    for (let i = 0; i < 3; i += 1) {
      scheduler.invalidate(broken);
      scheduler.invalidate({ draw: () => (drawn += 1) });
      frames.shift()();
    }
    assert.deepEqual(failures, ["broken"]);
    assert.equal(drawn, 3);
  });
});
