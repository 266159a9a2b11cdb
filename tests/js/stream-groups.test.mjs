import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { grouped, LISTED } from "../../static/js/stream-groups.js";

const connection = (exchange, number, more = {}) => ({
  exchange,
  route: "spot",
  number,
  state: "LIVE",
  reason: "",
  subscriptions: 5,
  messages_per_s: 10,
  messages: 100,
  dropped: 0,
  reconnects: 1,
  not_understood: 0,
  latency_ms: { p50: number, p99: 10 * number },
  overhead_ms: { p50: 0.1, p99: 0.2 },
  late_since_ms: null,
  announced: "",
  ...more,
});
const several = (exchange, count) => Array.from({ length: count }, (_, i) => connection(exchange, i + 1));
const NAMES = ["binance", "bybit", "okx", "kraken", "krakenfutures", "coinbase", "lmex", "other"];
const many = () => NAMES.flatMap((name, i) => several(name, i === 7 ? 1 : i === 0 ? 5 : i === 1 ? 4 : 2));

describe("connections by exchange", () => {
  it("are listed as they are while they are few", () => {
    const few = several("binance", LISTED);
    assert.deepEqual(grouped(few, new Set()), few);
  });

  it("of many exchanges are a row each", () => {
    const rows = grouped(many(), new Set());
    assert.deepEqual(
      rows.map((row) => row.exchange),
      NAMES,
    );
    assert.deepEqual(
      rows.map((row) => row.group?.length ?? 1),
      [5, 4, 2, 2, 2, 2, 2, 1],
    );
  });

  it("sum what is counted, and show the slowest times", () => {
    const [row] = grouped(many(), new Set());
    assert.equal(row.messages, 500);
    assert.equal(row.messages_per_s, 50);
    assert.equal(row.reconnects, 5);
    assert.deepEqual(row.latency_ms, { p50: 5, p99: 50 });
  });

  it("are all listed below an open one", () => {
    const rows = grouped(many(), new Set(["bybit"]));
    assert.deepEqual(
      rows.filter((row) => row.child).map((row) => [row.exchange, row.number]),
      [1, 2, 3, 4].map((number) => ["bybit", number]),
    );
  });

  it("that are not as usual are listed although closed, and the row has the worst state", () => {
    const rows = many();
    rows[1] = connection("binance", 2, { state: "DOWN", latency_ms: null });
    rows[2] = connection("binance", 3, { late_since_ms: 5 });
    rows[3] = connection("binance", 4, { announced: "the server stops" });
    const shown = grouped(rows, new Set());
    assert.equal(shown[0].state, "DOWN");
    assert.deepEqual(
      shown.filter((row) => row.child).map((row) => row.number),
      [2, 3, 4],
    );
    assert.equal(grouped(rows, new Set(["binance"])).filter((row) => row.child).length, 5);
  });

  it("stay in the given order and are never lost", () => {
    const rows = many();
    const names = new Set(NAMES);
    const shown = grouped(rows, names).filter((row) => !row.group);
    assert.deepEqual(
      shown.map((row) => `${row.exchange} ${row.number}`),
      rows.map((row) => `${row.exchange} ${row.number}`),
    );
  });
});
