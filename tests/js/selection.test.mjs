import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";

import { Instruments } from "../../static/js/instruments.js";
import { Prefs } from "../../static/js/prefs.js";
import { Selection } from "../../static/js/selection.js";

const market = (exchange, symbol, pinned = true) => ({ exchange, symbol, pinned });
// As the server lists them: by name.
const MARKETS = [market("alpaca", "AVAX/USD"), market("binance", "ADA/USDT"), market("binance", "BTC/USDT")];

let answer, instruments, prefs, selection;

beforeEach(() => {
  globalThis.location = { hash: "" };
  globalThis.history = { replaceState: (state, title, address) => (location.hash = address) };
  globalThis.addEventListener = () => {};
  answer = { markets: MARKETS, first: "binance:BTC/USDT" };
  prefs = new Prefs(null);
  instruments = new Instruments(async () => answer);
  selection = new Selection(prefs, instruments);
});

afterEach(() => {
  instruments.stop();
  for (const name of ["location", "history", "addEventListener"]) delete globalThis[name];
});

async function opened() {
  selection.start();
  await instruments.load();
  return selection.key;
}

describe("what the page opens with", () => {
  it("is the first market that the configuration pins, not the first by name", async () => {
    assert.equal(await opened(), "binance:BTC/USDT");
    assert.equal(location.hash, "#binance:BTC/USDT");
  });

  it("is what the trader looked at last", async () => {
    prefs.set("market", "binance:ADA/USDT");
    assert.equal(await opened(), "binance:ADA/USDT");
  });

  it("is what the address says", async () => {
    location.hash = "#alpaca:AVAX/USD";
    assert.equal(await opened(), "alpaca:AVAX/USD");
  });

  it("is the first one again where that market is gone", async () => {
    prefs.set("market", "kraken:BTC/USD");
    assert.equal(await opened(), "binance:BTC/USDT");
  });

  it("is a pinned one, or any, where none is named as the first", async () => {
    answer = { markets: [market("alpaca", "AVAX/USD", false), ...MARKETS.slice(1)], first: null };
    assert.equal(await opened(), "binance:ADA/USDT");
  });

  it("is any where none is pinned", async () => {
    answer = { markets: [market("alpaca", "AVAX/USD", false)], first: null };
    assert.equal(await opened(), "alpaca:AVAX/USD");
  });

  it("waits while no market is known", async () => {
    answer = { markets: [], first: null };
    assert.equal(await opened(), null);
    answer = { markets: MARKETS, first: "binance:BTC/USDT" };
    await instruments.load();
    assert.equal(selection.key, "binance:BTC/USDT");
  });
});
