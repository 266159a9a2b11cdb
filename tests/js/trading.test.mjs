import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { changedSettings } from "../../static/js/account-settings-model.js";
import { parse, text } from "../../static/js/decimal.js";
import { FillNews, newsText, profitOf } from "../../static/js/fill-news.js";
import { markText, marksOf } from "../../static/js/fill-marks.js";
import { OrderSending, sentenceOf } from "../../static/js/order-sending.js";
import { few, ownOrders } from "../../static/js/own-orders.js";
import { distance, isLong, marginText } from "../../static/js/positions-model.js";
import { against, freeOf, read, typed, warnings } from "../../static/js/ticket-model.js";

const SPOT = {
  symbol: "BTC/USDT",
  base: "BTC",
  quote: "USDT",
  settle: null,
  tick: "0.10",
  lot: "0.001",
  min_size: "0.002",
  min_notional: "10",
  status: "trading",
};
const PERP = { ...SPOT, symbol: "BTC/USDT:USDT", settle: "USDT" };
const FORM = {
  side: "buy",
  type: "limit",
  price: "100",
  size: "1",
  postOnly: false,
  reduceOnly: false,
  time: "GTC",
};
const BOOK = {
  price_decimals: 1,
  size_decimals: 3,
  bids: [
    [999, 500],
    [998, 2000],
  ],
  asks: [
    [1001, 1000],
    [1002, 500],
    [1010, 3000],
  ],
  bid: [999, 500],
  ask: [1001, 1000],
};
const FEES = { maker_bps: "-1", taker_bps: "10" };
const LIVE = { usable: true, state: "LIVE", reason: "" };
const of = (more, market = SPOT) => read({ ...FORM, ...more }, market);
const shown = (d) => (d ? text(d) : null);

describe("numbers that are typed", () => {
  it("are decimals with or without thousands, never guessed", () => {
    assert.equal(shown(typed("61,837.50")), "61837.50");
    assert.equal(shown(typed(" .5 ")), "0.5");
    for (const bad of ["", "0,001", "1,234", "0,015", "1234567,890", "0,123.5", "1,5", "1e5", "-1", "1.2.3", "abc", "1,2345", "Infinity", "0x10"])
      assert.equal(typed(bad), null, bad);
  });
});

describe("the order of a ticket", () => {
  it("is the body of the request, without its key", () => {
    assert.deepEqual(of({ size: "1.500", price: "60,000.10" }).order, {
      symbol: "BTC/USDT",
      side: "buy",
      size: "1.5",
      price: "60000.1",
      post_only: false,
      reduce_only: false,
      time_in_force: "GTC",
    });
    assert.equal(shown(of({ size: "1.5", price: "60000.1" }).notional), "90000.15");
  });

  it("never carries a term that its kind does not have", () => {
    const market = of({ type: "market", price: "5", postOnly: true, time: "FOK" }).order;
    assert.deepEqual([market.price, market.post_only, market.time_in_force], [null, false, "IOC"]);
    assert.equal(of({ postOnly: true, time: "IOC" }).order.time_in_force, "GTC");
    assert.equal(of({ reduceOnly: true }).order.reduce_only, false);
    assert.equal(of({ reduceOnly: true }, PERP).order.reduce_only, true);
  });

  it("names what is wrong, field by field", () => {
    const wrong = (more, field, pattern, market = SPOT) => {
      const { order, problems } = of(more, market);
      assert.equal(order, null);
      assert.match(problems[field], pattern);
    };
    wrong({ price: "100.05" }, "price", /steps of 0\.1\./);
    wrong({ size: "1.0005" }, "size", /steps of 0\.001\./);
    wrong({ size: "0" }, "size", /more than zero/);
    wrong({ size: "0.001" }, "size", /smallest order here is 0\.002 BTC/);
    wrong({ price: "1", size: "9" }, "size", /worth 10 USDT/);
    wrong({ price: "x" }, "price", /is a number/);
    wrong({}, "market", /not traded now: halted/, { ...SPOT, status: "halted" });
    assert.deepEqual(of({ size: "" }).problems, { size: "" });
  });
});

describe("an order against the book", () => {
  const view = (more, data = BOOK, fees = FEES) => against(of(more).order, data, fees);

  it("waits behind the best price as maker", () => {
    const told = view({ price: "99.8", size: "2" });
    assert.deepEqual([told.crosses, told.role, told.walked], [false, "maker", null]);
    assert.equal(shown(told.away), "10.0100");
    assert.equal(shown(told.notional), "199.6");
    assert.equal(Number(shown(told.fee)), -0.01996);
    assert.ok(view({ price: "100.0" }).away.n < 0n);
    const sell = view({ side: "sell", price: "100.2" });
    assert.equal(sell.crosses, false);
    assert.ok(sell.away.n > 0n);
  });

  it("walks the other side for a market order, level by level", () => {
    const told = view({ type: "market", size: "2" });
    const { levels, taken, whole, worst, cost, average, slippage } = told.walked;
    assert.deepEqual([levels, whole, shown(taken), shown(worst)], [3, true, "2.000", "101.0"]);
    assert.equal(Number(shown(cost)), 100.1 + 0.5 * 100.2 + 0.5 * 101);
    assert.equal(shown(average), "100.350");
    assert.equal(shown(slippage), "24.9750");
    assert.equal(Number(shown(told.fee)), 0.2007);
    assert.equal(told.role, "taker");
    assert.match(warnings(of({ type: "market", size: "2" }).order, told, LIVE).join(), /walks the book by 24\.98/);
  });

  it("says when the book that is known does not hold it", () => {
    const told = view({ type: "market", side: "sell", size: "5" });
    const { whole, taken } = told.walked;
    assert.deepEqual([whole, shown(taken), told.notional, told.fee], [false, "2.500", null, null]);
    assert.match(warnings(of({ type: "market", size: "5", side: "sell" }).order, told, LIVE).join(), /hold only 2\.5/);
  });

  it("takes at a limit no further than its price, the rest waits", () => {
    const told = view({ price: "100.2", size: "3" });
    const { levels, taken } = told.walked;
    assert.deepEqual([told.crosses, told.role, levels, shown(taken)], [true, "both", 2, "1.500"]);
    assert.equal(Number(shown(told.notional)), 100.1 + 50.1 + 150.3);
    assert.ok(Math.abs(Number(shown(told.fee)) - (0.1502 - 0.01503)) < 1e-12);
    const { order } = of({ price: "100.2", size: "3", postOnly: true });
    assert.match(warnings(order, told, LIVE)[0], /post-only order will be refused/);
  });

  it("knows nothing without a book, and says that an old one is old", () => {
    const told = view({ type: "market" }, null);
    assert.deepEqual([told.notional, told.fee, told.walked], [null, null, null]);
    const { order } = of({ type: "market" });
    const stale = { usable: false, state: "STALE", reason: "cut" };
    assert.match(warnings(order, told, stale).join(" "), /STALE: cut.*not known/);
    assert.equal(shown(view({ price: "99" }, null).notional), "99");
    assert.match(warnings(of({ price: "50" }).order, view({ price: "50" }), LIVE).join(), /49\.9.% from the best/);
  });
});

describe("sending", () => {
  const { order } = of({});
  const answers = (...list) => {
    const sent = [];
    const post = async (body) => {
      sent.push(body);
      const next = list.shift();
      if (next instanceof Error) throw next;
      return next;
    };
    return { sending: new OrderSending(order, post, "key-1"), sent };
  };
  const failure = (status, message) => Object.assign(new Error(message), { status });

  it("is one order however often it is asked for", async () => {
    const { sending, sent } = answers(failure(503, "The worker does not answer."), failure(0, "Gone."), {
      state: "placed",
      sentence: "",
      order_id: "9",
    });
    for (const state of ["unanswered", "unanswered", "placed"]) {
      await sending.send();
      assert.equal(sending.state, state);
    }
    assert.deepEqual(new Set(sent.map((body) => body.key)), new Set(["key-1"]));
    assert.equal(new Set(sent.map((body) => JSON.stringify(body))).size, 1);
    await sending.send();
    assert.equal(sent.length, 3);
    assert.equal(sending.orderId, "9");
  });

  it("cannot be sent twice at once", async () => {
    const { sending, sent } = answers({ state: "placed", sentence: "" });
    await Promise.all([sending.send(), sending.send()]);
    assert.equal(sent.length, 1);
  });

  it("shows the exchange's words for every state", async () => {
    for (const [state, again] of [["sent", true], ["refused", false], ["absent", true], ["unsure", true]]) {
      const { sending } = answers({ state, sentence: "Its words." });
      await sending.send();
      assert.deepEqual([sending.state, sending.words[1], sending.mayBeSent], [state, "Its words.", again]);
      assert.notEqual(sending.words[0], "");
    }
    const { sending } = answers({ state: "something new", sentence: "" });
    await sending.send();
    assert.equal(sending.state, "unsure");
  });

  it("believes a refusal only if no attempt before it can have arrived", async () => {
    const alone = answers(failure(409, "Trading is off."));
    await alone.sending.send();
    assert.deepEqual([alone.sending.state, alone.sending.words[1]], ["refused", "Trading is off."]);
    const after = answers(failure(0, "Gone."), failure(409, "Trading is off."));
    await after.sending.send();
    await after.sending.send();
    assert.equal(after.sending.state, "unsure");
    assert.match(after.sending.words[1], /Trading is off\..*may stand/);
  });

  it("is said in words", () => {
    assert.equal(sentenceOf(of({ price: "60000.1" }).order, "BTC", "USDT"), "Buy 1 BTC at 60,000.1 USDT");
    assert.equal(sentenceOf(of({ type: "market", side: "sell" }).order, "BTC", "USDT"), "Sell 1 BTC at the market");
  });
});

describe("own orders in the ladder", () => {
  it("show what is left of all orders of a row", () => {
    const row = (price) => ({ price: parse(price) });
    const order = (account, size, filled) => ({ account, side: "sell", price: "101.4", size, filled });
    const model = { asks: [row("101"), row("102")], bids: [] };
    const name = ({ account }) => `A${account} `;
    const marks = ownOrders([order(1, "2", "0.5"), order(2, "1", "0")], model, parse("1"), name);
    const { size, side, left, orders, text: said } = marks.asks.get(1);
    assert.deepEqual([size, side, text(left), orders.length], ["2·2.5", "sell", "2.5", 2]);
    assert.equal(said, "Own: A1 sell 1.5 of 2 left at 101.4\nA2 sell 1 at 101.4");
  });

  it("write sizes in few characters", () => {
    const cases = { 0.075: "0.075", "0.10000": "0.1", 1204: "1,204", 12500: "12.5K", 3.78826: "3.788" };
    assert.equal(few(parse("0.000123456")), "0.000123");
    for (const [given, expected] of Object.entries(cases)) assert.equal(few(parse(given)), expected);
  });
});

describe("own fills on the bars", () => {
  const fill = (exchange_ms, side, price, size) => ({ exchange_ms, side, price, size });

  it("stand in their bar at their price, oldest first", () => {
    const fills = [fill(130_000, "sell", "11", "1"), fill(61_000, "buy", "10", "2"), fill(59_999, "buy", "9", "1")];
    const marks = marksOf(fills, 60_000, 60_000);
    assert.deepEqual(
      marks.map(({ openMs, side, price, size, count }) => [openMs, side, Number(text(price)), size, count]),
      [
        [60_000, "buy", 10, "2", 1],
        [120_000, "sell", 11, "1", 1],
      ],
    );
    assert.deepEqual(marksOf(fills, 60_000, null), []);
  });

  it("come together at their average where they are many", () => {
    const same = marksOf([fill(1, "buy", "10", "1"), fill(2, "buy", "10.0", "2")], 60_000, 0);
    assert.deepEqual([same.length, same[0].count, same[0].size], [1, 2, "3"]);
    const many = marksOf([fill(1, "buy", "10", "1"), fill(2, "buy", "11", "1"), fill(3, "buy", "14", "2")], 60_000, 0);
    assert.deepEqual([many.length, many[0].count, Number(text(many[0].price))], [1, 3, 12.25]);
    assert.equal(markText(many, 0, 1), "Bought 4 at 12.3 (3 fills)");
    const both = marksOf([fill(1, "buy", "10", "1"), fill(2, "sell", "11", "1")], 60_000, 0);
    assert.equal(markText(both, 0, 1), "Bought 1 at 10.0 · sold 1 at 11.0");
    assert.equal(markText(many, 60_000, 1), "");
  });
});

describe("news of fills", () => {
  const frame = (...rows) => ({ fills: rows.map((row) => ({ row })).reverse(), last_row: rows.at(-1) ?? null });
  const numbers = (rows) => rows.map(({ row }) => row);

  it("tells each once, and nothing of what was there", () => {
    const news = new FillNews();
    assert.deepEqual(news.take(7, frame(1, 2)), []);
    assert.deepEqual(numbers(news.take(7, frame(1, 2, 3, 4))), [3, 4]);
    assert.deepEqual(news.take(7, frame(1, 2, 3, 4)), []);
    assert.deepEqual(news.take(8, frame()), []);
    assert.deepEqual(numbers(news.take(8, frame(1))), [1]);
  });

  it("is one text", () => {
    const fill = { side: "sell", size: "0.5", symbol: "BTC/USDT:USDT", price: "60000" };
    assert.deepEqual(newsText([fill], "Main"), ["Sold 0.5 BTC/USDT at 60000", "Main"]);
    assert.equal(newsText([fill, fill], "Main")[0], "2 fills");
  });

  it("gives the day's profit only while it is current", () => {
    const data = { currency: "USDT", complete: true, day: { change: "1.5", complete: false } };
    assert.deepEqual(profitOf(data, LIVE), { profit: "1.5", currency: "USDT", complete: true });
    assert.equal(profitOf(data, { ...LIVE, usable: false, state: "STALE" }), null);
    assert.equal(profitOf({ ...data, complete: false }, LIVE).complete, false);
    assert.equal(profitOf({ ...data, day: { ...data.day, change: null } }, LIVE).profit, null);
    assert.equal(profitOf(null, LIVE), null);
  });
});

describe("positions", () => {
  it("warn of a near liquidation, but not by an old mark", () => {
    const level = (away, stale = false) => distance({ liquidation_distance: away }, stale).level;
    const levels = ["0.2", "0.0999", "0.0299", "0", null].map((away) => level(away));
    assert.deepEqual(levels, ["", "warn", "bad", "bad", ""]);
    assert.deepEqual(distance({ liquidation_distance: "0.01" }, true), { text: "STALE 1.0\u2009% away", level: "dim" });
  });

  it("are long or short by side, else by sign", () => {
    assert.equal(isLong({ side: "both", size: "-1" }), false);
    assert.equal(isLong({ side: "long", size: "1" }), true);
    assert.equal(isLong({ side: "short", size: "1" }), false);
    const row = { margin: "10.456", settle: "USDT", margin_mode: "cross", leverage: "5" };
    assert.deepEqual(marginText(row), { text: "10.46", sub: "USDT · cross · 5×" });
    assert.deepEqual(marginText({ ...row, margin: null, leverage: null }), { text: "–", sub: "cross" });
  });
});

describe("settings of an account", () => {
  it("are sent where they differ, as what they are", () => {
    const saved = { trading: false, dead_man_s: "0", poll_s: "2" };
    const values = { trading: true, dead_man_s: "30", poll_s: "2.0" };
    assert.deepEqual(changedSettings(saved, values), { trading: true, dead_man_s: 30 });
    assert.deepEqual(changedSettings(saved, { ...saved, poll_s: "" }), {});
  });
});

describe("what is free for an order", () => {
  const row = (product, asset, free) => ({ product, asset, free });
  const PAIR = { ...SPOT, product: "spot" };
  const SWAP = { ...PERP, product: "swap" };

  it("is told by the wallet that pays, whatever it is called", () => {
    const account = { wallets: { spot: "trading", swap: "trading" } };
    const rows = [row("funding", "USDT", "7"), row("trading", "USDT", "1000"), row("trading", "BTC", "0.5")];
    assert.deepEqual(freeOf(account, PAIR, "buy", rows), { asset: "USDT", free: "1000" });
    assert.deepEqual(freeOf(account, PAIR, "sell", rows), { asset: "BTC", free: "0.5" });
    assert.deepEqual(freeOf(account, SWAP, "buy", rows), { asset: "USDT", free: "1000" });
    assert.deepEqual(freeOf(account, SWAP, "sell", rows), { asset: "USDT", free: "1000" });
  });

  it("is that of the product where each has its own", () => {
    const account = { wallets: { spot: "spot", usdm: "usdm" } };
    const rows = [row("usdm", "USDT", "7"), row("spot", "USDT", "1000")];
    assert.equal(freeOf(account, PAIR, "buy", rows).free, "1000");
    assert.equal(freeOf(account, { ...PERP, product: "usdm" }, "buy", rows).free, "7");
  });

  it("is not known, and never nothing, where no balance tells it", () => {
    const account = { wallets: { spot: "unified" } };
    assert.equal(freeOf(account, PAIR, "buy", []).free, null);
    assert.equal(freeOf(account, PAIR, "buy", [row("spot", "USDT", "5"), row("unified", "EUR", "5")]).free, null);
    assert.equal(freeOf(account, PAIR, "buy", [row("unified", "USDT", null)]).free, null);
    assert.equal(freeOf(account, PAIR, "buy", [row("unified", "USDT", "0")]).free, "0");
    assert.equal(freeOf({ wallets: {} }, PAIR, "buy", [row("spot", "USDT", "5")]).free, null);
  });
});
