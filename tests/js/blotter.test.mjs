import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { csvHref, filtered, queryOf, spanStart } from "../../static/js/blotter-model.js";
import { Pages } from "../../static/js/pages.js";
import { Settings } from "../../static/js/settings.js";
import * as zones from "../../static/js/zone-time.js";

describe("times in a zone", () => {
  const summer = Date.UTC(2026, 6, 1, 22, 30, 5) + 7;

  it("are written as its clocks show them", () => {
    assert.equal(zones.dateTime(summer, "Europe/Berlin"), "2026-07-02 00:30:05");
    assert.equal(zones.dateTime(summer, "America/New_York", { fraction: true }), "2026-07-01 18:30:05.007");
    assert.equal(zones.day(summer, "UTC"), "2026-07-01");
    assert.equal(zones.minute(summer, "Asia/Kolkata"), "04:00");
    assert.equal(zones.dateTime(null, "UTC"), "–");
  });

  it("are read back, midnight too", () => {
    for (const zone of ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]) {
      for (const month of [0, 3, 6, 10]) {
        const ms = Date.UTC(2026, month, 15, 13, 47);
        assert.equal(zones.parse(zones.dateTime(ms, zone).replace(" ", "T"), zone), ms, `${zone} ${month}`);
        const midnight = zones.parse(zones.day(ms, zone), zone);
        assert.equal(zones.dateTime(midnight, zone).slice(11), "00:00:00");
      }
    }
  });

  it("take the earlier of two that are the same, and move one that never was", () => {
    assert.equal(zones.parse("2026-10-25T02:30", "Europe/Berlin"), Date.UTC(2026, 9, 25, 0, 30));
    assert.equal(zones.dateTime(zones.parse("2026-03-29T02:30", "Europe/Berlin"), "Europe/Berlin").slice(11, 16), "03:30");
  });

  it("are null where there is none", () => {
    for (const text of ["", "soon", "2026-02-30", "2026-13-01", "2026-01-01T25:00"])
      assert.equal(zones.parse(text, "UTC"), null, text);
  });

  it("fall back to UTC in a zone that the browser does not know", () => {
    assert.equal(zones.dateTime(0, "Moon/Base"), "1970-01-01 00:00:00");
    assert.deepEqual(["Moon/Base", "UTC", "Etc/UTC", "Europe/Paris"].map(zones.known), [false, true, true, true]);
  });
});

describe("filters of the blotter", () => {
  it("are a query, times as the zone's clocks showed them", () => {
    const { query, problem } = queryOf(
      { account: "7", symbol: " btc/usdt ", side: "buy", from: "2026-07-01T00:00", to: "2026-07-02", sort: "time" },
      "Europe/Berlin",
    );
    assert.equal(problem, "");
    assert.deepEqual(query, {
      account: "7",
      side: "buy",
      sort: "time",
      symbol: "BTC/USDT",
      from: Date.UTC(2026, 5, 30, 22),
      to: Date.UTC(2026, 6, 1, 22),
    });
    assert.equal(csvHref({ ...query, limit: 100, cursor: "1-2" }), csvHref(query));
    assert.match(csvHref(query), /^\/api\/fills\.csv\?account=7&side=buy&sort=time&symbol=BTC%2FUSDT&from=178/);
    assert.equal(csvHref({}), "/api/fills.csv");
  });

  it("say what is wrong with a range", () => {
    assert.match(queryOf({ from: "2026-07-02", to: "2026-07-01" }, "UTC").problem, /ends before/);
    assert.match(queryOf({ from: "x" }, "UTC").problem, /'x'/);
  });

  it("begin a span at a midnight, over a change of the clocks too", () => {
    const now = Date.UTC(2026, 9, 25, 22, 30); // 23:30 of the day on which Berlin's clocks went back
    assert.equal(spanStart(1, now, "Europe/Berlin"), "2026-10-25T00:00");
    assert.equal(spanStart(2, now, "Europe/Berlin"), "2026-10-24T00:00");
    assert.equal(spanStart(7, now, "Asia/Tokyo"), "2026-10-20T00:00");
  });

  it("know whether they leave something out", () => {
    assert.equal(filtered({ sort: "time" }), false);
    assert.equal(filtered({ side: "buy" }), true);
  });
});

describe("pages", () => {
  /** A server of numbered rows, three a page, whose answers a test lets go. */
  function server(count) {
    const rows = Array.from({ length: count }, (_, i) => i + 1);
    const asked = [];
    const read = (query) =>
      new Promise((resolve, reject) => {
        const from = Number(query.cursor ?? 0);
        const next = from + 3 < rows.length ? String(from + 3) : null;
        asked.push({ query, answer: () => resolve({ rows: rows.slice(from, from + 3), next }), reject });
      });
    return { asked, rows, pages: new Pages(read, () => {}) };
  }

  it("go on and back, holding one page", async () => {
    const { asked, pages } = server(7);
    const shown = [];
    for (const step of ["open", "further", "further", "further", "back", "back", "back"]) {
      const done = pages[step](step === "open" ? { side: "buy" } : undefined);
      if (done) {
        asked.at(-1).answer();
        await done;
      }
      shown.push([pages.number, pages.rows.join()]);
    }
    assert.deepEqual(shown, [
      [1, "1,2,3"],
      [2, "4,5,6"],
      [3, "7"],
      [3, "7"],
      [2, "4,5,6"],
      [1, "1,2,3"],
      [1, "1,2,3"],
    ]);
    assert.ok(asked.every(({ query }) => query.side === "buy"));
  });

  it("forget the answer to what is no longer asked", async () => {
    const { asked, pages } = server(7);
    const slow = pages.open({ symbol: "A" });
    const quick = pages.open({ symbol: "B" });
    asked[1].answer();
    await quick;
    pages.rows = ["of B"];
    asked[0].answer();
    await slow;
    assert.deepEqual(pages.rows, ["of B"]);
  });

  it("stay where they are when a page cannot be read", async () => {
    const { asked, pages } = server(7);
    const done = pages.open({});
    asked[0].answer();
    await done;
    const failing = pages.further();
    asked[1].reject(new Error("The server cannot be reached."));
    await failing;
    assert.deepEqual([pages.number, pages.problem, pages.loading], [1, "The server cannot be reached.", false]);
    assert.deepEqual(pages.rows, [1, 2, 3]);
    const again = pages.refresh();
    asked[2].answer();
    await again;
    assert.equal(pages.problem, "");
  });
});

describe("settings", () => {
  const answer = { zone: "Europe/Berlin", currency: "EUR", sound: true, notifications: false, title_profit: false };

  it("are what the server holds, and change when it has taken them", async () => {
    const puts = [];
    const settings = new Settings(
      async () => answer,
      async (path, body) => {
        puts.push([path, body]);
        if (body.zone) throw new Error("zone: no");
        return { ...answer, ...body };
      },
    );
    let changes = 0;
    settings.addEventListener("change", () => (changes += 1));
    assert.equal(settings.zone, "UTC");
    await settings.load();
    assert.deepEqual([settings.zone, settings.currency, settings.get("sound"), changes], ["Europe/Berlin", "EUR", true, 1]);
    await settings.load();
    assert.equal(changes, 1);
    await settings.put({ currency: "USD" });
    assert.deepEqual([settings.currency, changes], ["USD", 2]);
    await assert.rejects(settings.put({ zone: "Moon/Base" }), /zone: no/);
    assert.equal(settings.zone, "Europe/Berlin");
    assert.deepEqual(puts[0], ["/api/settings/", { currency: "USD" }]);
    assert.throws(() => settings.get("colour"), /no such setting/);
  });
});
