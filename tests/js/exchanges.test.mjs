/** Names and colours of exchanges. The colours are judged as they are seen, by the colour-blind too. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { accountName } from "../../static/js/account-cells.js";
import { exchangeCode, exchangeColour, exchangeName } from "../../static/js/exchanges.js";

const TOKENS = readFileSync(new URL("../../static/css/tokens.css", import.meta.url), "utf8");
const GROUNDS = ["--panel", "--raised", "--selected"];

/** Machado, Oliveira and Fernandes 2009: what linear light becomes for the protanope and the deuteranope. */
const SIGHTS = {
  "full sight": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
};

function themes() {
  const [dark, light] = TOKENS.split(':root[data-theme="light"]');
  const every = (text) => [...text.matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g)];
  const read = (text) => Object.fromEntries(every(text).map(([, name, value]) => [name, value]));
  return { dark: read(dark), light: read(light) };
}

function linear(hex) {
  return [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
}

function contrast(a, b) {
  const luminance = (hex) => linear(hex).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

function lab(hex, sight) {
  const light = linear(hex);
  const [r, g, b] = sight.map((row) => Math.min(1, Math.max(0, row.reduce((sum, m, i) => sum + m * light[i], 0))));
  const f = (t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047);
  const y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

for (const [theme, tokens] of Object.entries(themes())) {
  describe(`exchange colours, ${theme}`, () => {
    const colours = Array.from({ length: 8 }, (_, i) => tokens[`--ex-${i + 1}`]);

    it("stand out from every ground", () => {
      for (const colour of colours)
        for (const ground of GROUNDS)
          assert.ok(contrast(colour, tokens[ground]) >= 3, `${colour} on ${tokens[ground]}`);
    });

    for (const [name, sight] of Object.entries(SIGHTS)) {
      it(`are told apart by ${name}`, () => {
        const seen = colours.map((colour) => lab(colour, sight));
        for (let i = 0; i < 8; i += 1)
          for (let j = 0; j < i; j += 1) {
            const apart = Math.hypot(...seen[i].map((value, k) => value - seen[j][k]));
            assert.ok(apart >= 18, `${colours[i]} and ${colours[j]} are ${apart.toFixed(1)} apart`);
          }
      });
    }
  });
}

describe("exchanges", () => {
  const known = ["binance", "kraken", "bybit", "okx", "coinbase", "krakenfutures", "lmex", "alpaca"];

  it("have names, codes and colours of their own", () => {
    assert.equal(exchangeName("krakenfutures"), "Kraken Futures");
    assert.equal(new Set(known.map(exchangeCode)).size, 8);
    assert.deepEqual(new Set(known.map(exchangeColour)), new Set([1, 2, 3, 4, 5, 6, 7, 8]));
  });

  it("name their accounts, and once where the label is that name", () => {
    assert.equal(accountName({ label: "Main", exchange: "okx" }), "Main · OKX");
    assert.equal(accountName({ label: "OKX", exchange: "okx" }), "OKX");
  });

  it("that are not known have a name and one colour too", () => {
    assert.deepEqual([exchangeName("newone"), exchangeCode("newone")], ["Newone", "NEW"]);
    assert.equal(exchangeColour("newone"), exchangeColour("newone"));
    assert.ok(exchangeColour("newone") >= 1 && exchangeColour("newone") <= 8);
  });
});
