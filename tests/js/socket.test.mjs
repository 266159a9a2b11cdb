import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";

import { Socket } from "../../static/js/socket.js";
import { FakeWebSocket, environment } from "./environment.mjs";

let env, socket, links, bundles, refused;

beforeEach(() => {
  env = environment();
  links = [];
  bundles = [];
  refused = [];
  const delegate = {
    linkChanged: (link) => links.push(link.state),
    hello: () => {},
    bundle: (frames) => bundles.push(frames),
    topicRefused: (topic, message) => refused.push([topic, message]),
  };
  socket = new Socket("ws://host/ws/", delegate, env);
});

/** A page that is live: greeted, and one bundle came. */
function live() {
  socket.start();
  FakeWebSocket.last.hello();
  FakeWebSocket.last.bundle(1);
  return FakeWebSocket.last;
}

/** Keep the connection talking for `ms`. */
function talk(ms) {
  let bundle = 100;
  for (let passed = 0; passed < ms; passed += 500) {
    env.time.pass(500);
    if (FakeWebSocket.last.readyState === 1) FakeWebSocket.last.bundle((bundle += 1));
  }
}

describe("life of a connection", () => {
  it("is live only after the first bundle", () => {
    socket.start();
    assert.equal(socket.link.state, "connecting");
    FakeWebSocket.last.hello();
    assert.equal(socket.link.state, "open");
    assert.equal(socket.link.usable, false);
    FakeWebSocket.last.bundle(1);
    assert.equal(socket.link.state, "live");
    assert.equal(socket.link.usable, true);
  });

  it("backs off, doubling up to 15 s, and starts anew only after a bundle", () => {
    socket.start();
    const waits = [];
    for (let i = 0; i < 7; i += 1) {
      FakeWebSocket.last.hello(); // accepted and thrown out: no data came
      const count = FakeWebSocket.all.length;
      FakeWebSocket.last.lose(1001, "The server stops.");
      assert.equal(socket.link.state, "waiting");
      assert.equal(socket.link.reason, "The server stops.");
      let waited = 0;
      while (FakeWebSocket.all.length === count) {
        env.time.pass(100);
        waited += 100;
      }
      waits.push(waited);
    }
    assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    FakeWebSocket.last.hello();
    FakeWebSocket.last.bundle(1);
    FakeWebSocket.last.lose();
    assert.ok(socket.retryInMs <= 500);
  });

  it("gives up for good when signed out", () => {
    live().lose(4401, "Not signed in.");
    assert.equal(socket.link.state, "refused");
    assert.equal(socket.link.code, 4401);
    env.time.pass(60_000);
    assert.equal(FakeWebSocket.all.length, 1);
  });

  it("reconnects when no greeting comes", () => {
    socket.start();
    env.time.pass(12_000);
    assert.ok(FakeWebSocket.all.length >= 2);
    assert.equal(FakeWebSocket.all[0].closed, 1000);
  });

  it("ignores what an old connection still says", () => {
    const old = live();
    socket.reconnect("test");
    old.bundle(2, [{}]);
    old.lose();
    assert.equal(bundles.length, 1);
    assert.equal(socket.link.state, "connecting");
  });

  it("leaves no timer behind when it stops, however often", () => {
    live();
    socket.stop();
    socket.stop();
    assert.equal(env.time.pending, 0);
    assert.equal(FakeWebSocket.last.closed, 1000);
  });
});

describe("silence and sleep", () => {
  it("is silent after 5 s without a message, and live again with the next", () => {
    const ws = live();
    env.time.pass(4500);
    assert.equal(socket.link.state, "live");
    env.time.pass(1000);
    assert.equal(socket.link.state, "silent");
    assert.equal(socket.link.usable, false);
    ws.bundle(2);
    assert.equal(socket.link.state, "live");
  });

  it("reconnects after 10 s of silence", () => {
    live();
    env.time.pass(11_500);
    assert.equal(FakeWebSocket.all.length, 2);
  });

  for (const [name, way] of [["", "sleep"], [", its monotonic clock too", "sleepDeeply"]])
    it(`reconnects when the device slept${name}, before anything counts as live`, () => {
      live();
      env.time[way](60_000);
      env.time.pass(600);
      assert.equal(FakeWebSocket.all.length, 2);
      assert.equal(socket.link.usable, false);
      assert.match(socket.link.reason, /slept/);
    });

  it("sleeps with a hidden tab and wakes with a new connection", () => {
    live();
    socket.sleep();
    assert.equal(socket.link.usable, false);
    env.time.pass(60_000);
    assert.equal(FakeWebSocket.all.length, 1);
    socket.wake(60_000);
    assert.equal(FakeWebSocket.all.length, 2);
    assert.equal(socket.link.state, "connecting");
  });

  it("reconnects a tab that was hidden for 5 s, not one that was for 1 s", () => {
    live();
    socket.wake(1000);
    assert.equal(FakeWebSocket.all.length, 1);
    socket.wake(5000);
    assert.equal(FakeWebSocket.all.length, 2);
  });
});

describe("confirming", () => {
  const paint = (ws, number) => {
    ws.bundle(number);
    socket.painted(socket.mark);
  };

  it("confirms what was painted, at most once a second", () => {
    const ws = live();
    for (let number = 2; number <= 61; number += 1) {
      env.time.pass(50);
      paint(ws, number);
    }
    env.time.pass(1500);
    const confirmed = ws.of("drawn").map((message) => message.bundle);
    assert.ok(confirmed.length >= 3 && confirmed.length <= 5, `confirmed ${confirmed}`);
    assert.equal(confirmed.at(-1), 61);
  });

  it("does not confirm what came after the picture was drawn", () => {
    const ws = live();
    ws.bundle(2);
    const { mark } = socket;
    ws.bundle(3);
    socket.painted(mark);
    env.time.pass(2000);
    assert.deepEqual(
      ws.of("drawn").map((message) => message.bundle),
      [2],
    );
  });

  it("does not confirm bundles of a former connection", () => {
    live();
    const { mark } = socket;
    socket.reconnect("test");
    FakeWebSocket.last.hello();
    socket.painted(mark);
    env.time.pass(3000);
    assert.deepEqual(FakeWebSocket.last.of("drawn"), []);
  });

  it("confirms nothing while nothing is painted", () => {
    const ws = live();
    for (let number = 2; number < 10; number += 1) ws.bundle(number);
    env.time.pass(3000);
    assert.deepEqual(ws.of("drawn"), []);
  });
});

describe("topics", () => {
  it("are asked for in one message when the server greets, and again on the next connection", () => {
    socket.want("streams");
    socket.want("book:binance:BTC/USDT");
    const ws = live();
    assert.deepEqual(ws.of("subscribe")[0].topics, ["streams", "book:binance:BTC/USDT"]);
    ws.lose();
    env.time.pass(1000);
    FakeWebSocket.last.hello();
    assert.deepEqual(FakeWebSocket.last.of("subscribe")[0].topics, ["streams", "book:binance:BTC/USDT"]);
  });

  it("given up are kept for a second", () => {
    socket.want("streams");
    const ws = live();
    socket.drop("streams");
    socket.want("streams");
    talk(2000);
    assert.deepEqual(ws.of("unsubscribe"), []);
    socket.drop("streams");
    talk(2000);
    assert.deepEqual(ws.of("unsubscribe")[0].topics, ["streams"]);
  });

  it("given up and wanted again are asked for anew: the page has forgotten their frames", () => {
    socket.want("streams");
    const ws = live();
    const asked = ws.of("subscribe").length;
    socket.drop("streams");
    socket.want("streams");
    talk(500);
    assert.deepEqual(ws.of("subscribe").slice(asked).map(({ topics }) => topics), [["streams"]]);
    socket.want("streams");
    talk(500);
    assert.equal(ws.of("subscribe").length, asked + 1);
  });

  it("stay below the flood limit however fast a trader clicks", () => {
    const ws = live();
    const sentAt = [];
    const send = ws.send.bind(ws);
    ws.send = (text) => {
      sentAt.push(env.time.now);
      send(text);
    };
    for (let i = 0; i < 200; i += 1) {
      socket.drop(`book:binance:S${i - 1}/USDT`);
      socket.want(`book:binance:S${i}/USDT`);
      env.time.pass(50);
      ws.bundle(i + 2);
      socket.painted(socket.mark);
    }
    const most = Math.max(...sentAt.map((start) => sentAt.filter((at) => at >= start && at < start + 5000).length));
    assert.ok(most <= 50, `${most} messages in 5 s`);
    talk(1000);
    assert.ok(ws.of("subscribe").at(-1).topics.includes("book:binance:S199/USDT"));
  });

  it("that are wrong are found by halving, and the others come through", () => {
    const topics = ["a", "b", "wrong", "c", "d"];
    for (const topic of topics) socket.want(topic);
    const ws = live();
    const granted = new Set();
    let answered = 0;
    for (let round = 0; round < 20; round += 1) {
      for (const { id, topics: asked } of ws.of("subscribe").slice(answered)) {
        answered += 1;
        if (asked.includes("wrong")) ws.message({ type: "error", id, code: "unknown_topic", message: "no such topic" });
        else {
          ws.message({ type: "subscribed", id, topics: asked });
          asked.forEach((topic) => granted.add(topic));
        }
      }
      talk(500);
    }
    assert.deepEqual([...granted].sort(), ["a", "b", "c", "d"]);
    assert.deepEqual(refused, [["wrong", "no such topic"]]);
  });

  it("refused later by the worker are told, and asked for again after half a minute", () => {
    socket.want("book:binance:BTC/USDT");
    const ws = live();
    ws.message({ type: "error", code: "unknown_topic", topic: "book:binance:BTC/USDT", message: "gone" });
    assert.deepEqual(refused, [["book:binance:BTC/USDT", "gone"]]);
    talk(20_000);
    assert.equal(ws.of("subscribe").length, 1);
    talk(15_000);
    assert.equal(ws.of("subscribe").length, 2);
  });

  it("beyond the server's limit wait for room", () => {
    for (let i = 0; i < 5; i += 1) socket.want(`t${i}`);
    socket.start();
    FakeWebSocket.last.hello({ max_topics: 3 });
    assert.equal(FakeWebSocket.last.of("subscribe")[0].topics.length, 3);
    socket.drop("t0");
    talk(2000);
    const asked = FakeWebSocket.last.of("subscribe").flatMap((message) => message.topics);
    assert.equal(asked.length, 4);
  });
});

describe("the server's clock", () => {
  it("comes from pings, the quickest counting", () => {
    const ws = live();
    const answers = [
      [400, 90_000], // slow, and wrong by its slowness
      [2, 30_000],
    ];
    const send = ws.send.bind(ws);
    ws.send = (text) => {
      send(text);
      const { type, id, client_us: sent } = JSON.parse(text);
      if (type !== "ping" || answers.length === 0) return;
      const [rtt, ahead] = answers.shift();
      env.time.now += rtt;
      ws.message({ type: "pong", id, client_us: sent, server_us: sent + (rtt / 2) * 1000 + ahead });
    };
    talk(2000);
    assert.equal(socket.offset.us, 30_000);
    assert.equal(socket.offset.roundTripMs, 2);
  });
});
