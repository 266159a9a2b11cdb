import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { board } from "../../static/js/board-model.js";
import { parse } from "../../static/js/decimal.js";
import { EventsLog, lasted, sideName } from "../../static/js/events-log.js";
import { FEE, THRESHOLD, asPercent, readBps, readSeconds, sourceText } from "../../static/js/fees-model.js";
import { ownOrders } from "../../static/js/own-orders.js";
import { Prefs } from "../../static/js/prefs.js";

describe("arbitrage events", () => {
  const event = (id, more = {}) => ({
    id,
    symbol: "BTC/USDT",
    buy: { exchange: "binance", symbol: "BTC/USDT" },
    sell: { exchange: "kraken", symbol: "BTC/USD" },
    started_ms: id * 1000,
    lasted_ms: 500,
    open: false,
    ...more,
  });
  const ids = (log, symbol) => log.list(symbol).map(({ id }) => id);

  it("are each once, running ones first, the latest start first", () => {
    const log = new EventsLog();
    log.take([event(3, { open: true }), event(5), event(4)]);
    assert.deepEqual(ids(log), [3, 5, 4]);
    log.take([event(3), event(6, { open: true })]);
    assert.deepEqual(ids(log), [6, 5, 4, 3]);
    assert.equal(log.open, 1);
    assert.deepEqual(ids(log, "ETH/USDT"), []);
  });

  it("are paged backwards, and older pages do not overwrite what frames said", () => {
    const log = new EventsLog();
    log.take([event(10, { reason: "told" })]);
    assert.equal(log.oldest, 10);
    log.addOlder({ events: [event(10), event(9), event(8)], more: true });
    assert.equal(log.list()[0].reason, "told");
    assert.deepEqual([log.oldest, log.older], [8, true]);
    log.addOlder({ events: [event(7)], more: false });
    assert.equal(log.older, false);
  });

  it("do not grow beyond 500, and then ask for no more", () => {
    const log = new EventsLog();
    for (let id = 1; id <= 3000; id += 1) log.take([event(id)]);
    assert.equal(log.size, 500);
    log.addOlder({ events: [event(1)], more: true });
    assert.deepEqual([log.size, log.oldest, log.older], [500, 2501, false]);
  });

  it("that were open and are not named any more are found", () => {
    const log = new EventsLog();
    log.take([event(1, { open: true }), event(2, { open: true }), event(3)]);
    assert.deepEqual(log.lost([event(2, { open: true })]), [1]);
  });

  it("tick while they run and their frame is current", () => {
    const running = event(1, { open: true, started_ms: 1000, lasted_ms: 700 });
    assert.equal(lasted(running, 4000), 3000);
    assert.equal(lasted(running, 1200), 700);
    assert.equal(lasted(running, null), 700);
    assert.equal(lasted(event(1), 90_000), 500);
  });

  it("name a side's own symbol where it is another", () => {
    assert.equal(sideName(event(1), "buy"), "Binance");
    assert.equal(sideName(event(1), "sell"), "Kraken BTC/USD");
  });
});

describe("the status board", () => {
  const connection = (exchange, more = {}) => ({
    exchange,
    state: "LIVE",
    reason: "",
    messages_per_s: 10,
    reconnects: 1,
    dropped: 0,
    latency_ms: { p50: 5, p99: 20 },
    clock_offset_ms: null,
    ...more,
  });
  const market = (exchange, state = "LIVE", more = {}) => ({ exchange, state, reason: "", resyncs: 2, ...more });
  const data = {
    exchanges: [
      { exchange: "binance", simulated: true, notice: "", markets: 3, budget: {} },
      { exchange: "kraken", simulated: false, via: "ccxt", notice: "Maintenance.", markets: 1 },
    ],
    connections: [
      connection("binance"),
      connection("binance", { latency_ms: { p50: 3, p99: 90 } }),
      connection("kraken", { state: "DOWN", reason: "refused", latency_ms: null }),
    ],
    markets: [market("binance"), market("binance", "POLLED"), market("binance", "STALE"), market("kraken", "DOWN")],
  };

  it("has a row for each exchange, with sums and the worst of its parts", () => {
    const [binance, kraken] = board(data);
    assert.deepEqual(
      [binance.state, binance.connected, binance.connections, binance.live, binance.markets],
      ["LIVE", 2, 2, 2, 3],
    );
    assert.deepEqual([binance.rate, binance.reconnects, binance.resyncs], [20, 2, 6]);
    assert.deepEqual(binance.latency, { p50: 3, p99: 90 });
    assert.deepEqual([kraken.state, kraken.reason, kraken.connected, kraken.latency], ["DOWN", "refused", 0, null]);
    assert.deepEqual(kraken.notices, [{ text: "Maintenance.", fromMs: null, toMs: null }]);
  });

  it("tells what is simulated and by what it comes", () => {
    const [binance, kraken] = board(data);
    assert.deepEqual([binance.simulated, binance.via, kraken.simulated, kraken.via], [true, "", false, "ccxt"]);
  });

  it("does without what an older worker does not send", () => {
    const [binance, kraken] = board(data);
    const unknown = [binance.offsetMs, binance.offsetErrorMs, binance.renewed, binance.budget];
    assert.deepEqual(unknown, [null, null, null, null]);
    assert.equal(kraken.budget, null);
    assert.deepEqual(board({ exchanges: [{ exchange: "x" }], connections: [], markets: [] })[0].state, "CONNECTING");
  });

  it("takes clocks, late streams, notices with times and budgets where they are told", () => {
    const told = {
      exchange: "binance",
      clock_offset_ms: -3.2,
      clock_error_ms: 6,
      renewed: 3,
      notices: [{ text: "It rests.", begins_ms: 1, ends_ms: null, since_ms: 0, trading: false }],
      budget: { spot: { used: 40, limit: 6000 }, usdm: { used: 1200, limit: 2400 }, none: { used: 1, limit: 0 } },
    };
    const late = [connection("binance", { late_since_ms: 5 }), connection("binance", { late_since_ms: null })];
    const [row] = board({ exchanges: [told], connections: late, markets: [] });
    assert.deepEqual([row.offsetMs, row.offsetErrorMs, row.renewed, row.late], [-3.2, 6, 3, 1]);
    assert.deepEqual(row.notices, [{ text: "It rests.", fromMs: 1, toMs: null }]);
    assert.deepEqual([row.budget.product, row.budget.share], ["usdm", 0.5]);
  });
});

describe("fees", () => {
  it("are read as the server reads them", () => {
    const read = (text, limits = FEE) => readBps(text, limits, "The fee");
    assert.deepEqual(read(" 10.50 "), { value: "10.5", problem: "" });
    assert.equal(read("−0,25").value, "-0.25");
    assert.equal(read("-100").value, "-100");
    assert.match(read("-100.1").problem, /between -100 and 1000/);
    assert.match(read("1001").problem, /between/);
    assert.match(read("1.23456").problem, /4 decimals/);
    for (const wrong of ["", "ten", "1e3", "1,2,3"]) assert.match(read(wrong).problem, /number of basis points/);
    assert.equal(read("10000", THRESHOLD).value, "10000");
  });

  it("have a duration in seconds", () => {
    assert.equal(readSeconds("1.5", "It").value, 1.5);
    for (const wrong of ["-1", "3601", "", "x", "1e2"]) assert.match(readSeconds(wrong, "It").problem, /0 to 3600/);
  });

  it("are percent for those who think so, and say where they come from", () => {
    assert.equal(asPercent(parse("10")), "0.10\u2009%");
    assert.equal(asPercent(parse("-0.25")), "-0.0025\u2009%");
    assert.equal(sourceText({ source: "user", note: "" }), "your own");
    assert.equal(sourceText({ source: "default", note: "of a new account" }), "of a new account");
    assert.equal(sourceText({ source: "default" }), "default");
  });
});

describe("own orders over all exchanges", () => {
  it("stand in their rows, each with its exchange", () => {
    const row = (price) => ({ price: parse(price) });
    const order = (exchange, side, price) => ({ exchange, side, price, size: "1" });
    const marks = ownOrders(
      [order("binance", "buy", "99"), order("kraken", "buy", "99"), order("kraken", "sell", "120")],
      { bids: [row("100"), row("99")], asks: [row("101")] },
      null,
      ({ exchange }) => `${exchange} `,
    );
    assert.deepEqual([...marks.bids.keys()], [1]);
    assert.equal(marks.bids.get(1).text, "Own: binance buy 1 at 99\nkraken buy 1 at 99");
    assert.equal(marks.asks.size, 0);
  });
});

describe("preferences by symbol", () => {
  it("are bounded, the newest stay", () => {
    const prefs = new Prefs(null);
    for (let i = 0; i < 500; i += 1) prefs.remember("sizes", `S${i}/USDT`, "1");
    assert.equal(Object.keys(prefs.get("sizes")).length, 200);
    assert.equal(prefs.get("sizes")["S499/USDT"], "1");
  });
});
