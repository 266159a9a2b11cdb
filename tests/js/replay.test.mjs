import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { replayText, replayTitle } from "../../static/js/replay.js";

const PLAYED = {
  file: "kraken.jsonl.gz",
  state: "playing",
  speed: 1,
  at_s: 12.9,
  length_s: 44.4,
  at_ms: 1786310828000,
  recorded: "2026-08-09",
};

describe("the words for a replay", () => {
  it("tells the recording's own time and how far it is", () => {
    assert.equal(replayText(PLAYED), "REPLAY 2026-08-09 21:27:08 UTC · 12 of 44\u2009s");
  });
  it("tells another pace", () => {
    assert.match(replayText({ ...PLAYED, speed: 2.5 }), / · ×2\.5$/);
    assert.match(replayText({ ...PLAYED, speed: 0 }), / · as fast as possible$/);
  });
  it("tells the end", () => {
    assert.match(replayText({ ...PLAYED, state: "ended" }), /^REPLAY ENDED 2026-08-09 /);
  });
  it("knows the day alone where no time was recorded", () => {
    assert.equal(replayText({ ...PLAYED, at_ms: null }), "REPLAY 2026-08-09 · 12 of 44\u2009s");
    assert.equal(replayText({ ...PLAYED, at_ms: null, recorded: null }), "REPLAY · 12 of 44\u2009s");
  });
  it("marks the page before anything is known", () => {
    assert.equal(replayText(undefined), "REPLAY");
    assert.match(replayTitle(undefined), /nothing here is live/);
    assert.match(replayTitle(PLAYED), /kraken\.jsonl\.gz/);
  });
});
