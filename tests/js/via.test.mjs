/** What comes through ccxt is marked where its markets are named. */

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

/** As much of a document as the mark needs. */
const fakeDocument = {
  createTextNode: (text) => text,
  createElement: () => ({
    attributes: {},
    text: "",
    setAttribute(name, value) {
      this.attributes[name] = value;
    },
    append(...texts) {
      this.text += texts.join("");
    },
  }),
};

describe("the mark of ccxt", () => {
  let viaTag;
  before(async () => {
    globalThis.document = fakeDocument;
    ({ viaTag } = await import("../../static/js/badge.js"));
  });

  it("is hidden until a market is known to come through it", () => {
    assert.equal("hidden" in viaTag().attributes, true);
    assert.equal("hidden" in viaTag(false).attributes, false);
  });

  it("says what it means", () => {
    const tag = viaTag(false);
    assert.equal(tag.text, "CCXT");
    assert.match(tag.attributes.title, /ccxt.*checked by REST/);
  });
});
