import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";

import { Store } from "../../static/js/store.js";

const BOOK = "book:binance:BTC/USDT";
const LIVE = { state: "live", usable: true, reason: "" };

let now, socket, store, calls;

beforeEach(() => {
  now = 1_000_000;
  calls = [];
  socket = { want: (topic) => calls.push(`+${topic}`), drop: (topic) => calls.push(`-${topic}`) };
  store = new Store(socket, () => now);
  store.connected();
  store.linkChanged(LIVE);
});

const frame = (topic, more = {}) => ({
  topic,
  n: 1,
  state: "LIVE",
  recv_us: now * 1000,
  sent_us: now * 1000,
  data: {},
  ...more,
});
const streams = (...markets) => frame("streams", { state: undefined, recv_us: 0, data: { markets } });
const market = (state, more = {}) => ({
  exchange: "binance",
  symbol: "BTC/USDT",
  state,
  reason: "",
  age_ms: 0,
  ...more,
});
const status = (topic = BOOK) => store.status(topic, now * 1000);

describe("watching", () => {
  it("subscribes with the first watcher, ends with the last, and keeps nothing", () => {
    const stops = [store.watch(BOOK, () => {}), store.watch(BOOK, () => {})];
    store.apply([frame(BOOK)]);
    stops[0]();
    stops[0]();
    assert.deepEqual(calls, [`+${BOOK}`]);
    stops[1]();
    assert.deepEqual(calls, [`+${BOOK}`, `-${BOOK}`]);
    assert.equal(store.frame(BOOK), null);
    assert.deepEqual(store.topics, []);
  });

  it("takes no frame that nobody watches", () => {
    store.apply([frame(BOOK)]);
    assert.equal(store.frame(BOOK), null);
  });

  it("tells the first frame of a connection from later ones", () => {
    const firsts = [];
    store.watch(BOOK, (given, first) => given && firsts.push(first));
    store.apply([frame(BOOK)]);
    store.apply([frame(BOOK)]);
    store.connected();
    store.apply([frame(BOOK)]);
    assert.deepEqual(firsts, [true, false, true]);
  });

  it("stays bounded over many topics", () => {
    for (let i = 0; i < 2000; i += 1) {
      const stop = store.watch(`book@${i}:binance:BTC/USDT`, () => {});
      store.apply([frame(`book@${i}:binance:BTC/USDT`)]);
      stop();
    }
    assert.deepEqual(store.topics, []);
  });
});

describe("status", () => {
  beforeEach(() => store.watch(BOOK, () => {}));

  it("says CONNECTING before anything came", () => {
    assert.equal(status().state, "CONNECTING");
    assert.equal(status().empty, true);
  });

  it("is the frame's own", () => {
    store.apply([frame(BOOK)]);
    assert.deepEqual(
      { ...status() },
      { state: "LIVE", usable: true, empty: false, reason: "", ageMs: 0, restored: false },
    );
  });

  for (const state of ["CONNECTING", "SYNCING", "RESYNC", "DOWN"]) {
    it(`${state} has no data to show`, () => {
      store.apply([frame(BOOK, { state })]);
      assert.equal(status().usable, false);
      assert.equal(status().empty, true);
    });
  }

  it("STALE is shown, but not usable", () => {
    store.apply([frame(BOOK, { state: "STALE" })]);
    assert.equal(status().usable, false);
    assert.equal(status().empty, false);
  });

  it("POLLED is usable, and says how often and why", () => {
    const reason = "By REST every 5 s, as the stream is DOWN";
    store.watch("streams", () => {});
    store.apply([frame(BOOK, { state: "POLLED" })]);
    store.apply([streams(market("POLLED", { reason, age_ms: 3000 }))]);
    assert.deepEqual([status().state, status().usable, status().reason], ["POLLED", true, reason]);
  });

  it("is STALE while our own connection is silent, whatever the frame said", () => {
    store.apply([frame(BOOK)]);
    store.linkChanged({ state: "silent", usable: false, reason: "nothing came" });
    assert.equal(status().state, "STALE");
    assert.equal(status().reason, "nothing came");
    store.linkChanged(LIVE);
    assert.equal(status().state, "LIVE");
  });

  it("is STALE after a reconnect until it came again", () => {
    store.apply([frame(BOOK)]);
    store.connected();
    store.linkChanged(LIVE);
    assert.equal(status().state, "STALE");
    store.apply([frame(BOOK)]);
    assert.equal(status().state, "LIVE");
  });

  it("does not make old data of what was never there", () => {
    store.apply([frame(BOOK, { state: "DOWN" })]);
    store.linkChanged({ state: "waiting", usable: false, reason: "away" });
    assert.equal(status().state, "DOWN");
    assert.equal(status().empty, true);
  });

  it("believes a later streams frame where that is worse", () => {
    store.watch("streams", () => {});
    store.apply([frame(BOOK)]);
    now += 1000;
    store.apply([streams(market("DOWN", { reason: "banned" }))]);
    assert.equal(status().state, "DOWN");
    assert.equal(status().reason, "banned");
  });

  it("believes a frame that is newer than the streams frame", () => {
    store.watch("streams", () => {});
    store.apply([streams(market("RESYNC"))]);
    now += 10;
    store.apply([frame(BOOK)]);
    assert.equal(status().state, "LIVE");
  });

  it("does not believe a streams frame that is better than the frame", () => {
    store.watch("streams", () => {});
    store.apply([frame(BOOK, { state: "STALE" })]);
    now += 10;
    store.apply([streams(market("LIVE"))]);
    assert.equal(status().state, "STALE");
  });

  it("is DOWN with the server's words when the topic is refused", () => {
    store.refuse(BOOK, "no such market");
    assert.equal(status().state, "DOWN");
    assert.equal(status().reason, "no such market");
  });

  it("tells a book from before the start", () => {
    store.apply([frame(BOOK, { state: "STALE", data: { restored: true } })]);
    assert.equal(status().restored, true);
    assert.equal(status().empty, false);
  });
});

describe("age", () => {
  beforeEach(() => store.watch(BOOK, () => {}));

  it("counts from the worker's receipt, by the server's clock", () => {
    store.apply([frame(BOOK, { recv_us: now * 1000 - 3_000_000 })]);
    assert.equal(status().ageMs, 3000);
    now += 2000;
    assert.equal(status().ageMs, 5000);
  });

  it("counts from arrival while the server's clock is not known", () => {
    store.apply([frame(BOOK, { recv_us: 17 })]);
    now += 2000;
    assert.equal(store.status(BOOK, null).ageMs, 2000);
  });

  it("is the market's where the frame still stands although the market went on", () => {
    store.watch("streams", () => {});
    store.apply([frame(BOOK)]);
    now += 60_000;
    store.apply([streams(market("LIVE", { age_ms: 40 }))]);
    now += 100;
    assert.equal(status().ageMs, 140);
  });

  it("uses the time of sending where nothing was received for it", () => {
    store.watch("streams", () => {});
    store.apply([streams()]);
    now += 1500;
    assert.equal(status("streams").ageMs, 1500);
  });
});
