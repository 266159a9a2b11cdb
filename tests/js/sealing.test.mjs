import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { blake2b } from "@noble/hashes/blake2.js";
import nacl from "tweetnacl";

import { fingerprint, seal } from "../../static/js/sealing.js";

const SECRETS = { key: "abcdefghijklmnop", secret: "ünïcode secret", passphrase: "" };

/** Made with PyNaCl: recipient's private key 32 times 7, ephemeral 32 times 9; its SealedBox opens it. */
const VECTOR =
  "V9tLNZ8jrl4Ubk4lEgVnBHIlBjSMFQwUdT0Mkz0E1CGSZsrWl3Ykn9XtmnrpVtOOWLOYXoy9BLJziO99AYwdfNPu" +
  "dGbg4MNEWbJdHP6WeKOc6jVSo1cURw==";

describe("seal", () => {
  it("is libsodium's sealed box: made with PyNaCl from the same keys", () => {
    const recipient = nacl.box.keyPair.fromSecretKey(new Uint8Array(32).fill(7));
    const ephemeral = nacl.box.keyPair.fromSecretKey(new Uint8Array(32).fill(9));
    const sealed = seal(
      { key: "k", secret: "s", passphrase: "" },
      Buffer.from(recipient.publicKey).toString("base64"),
      { nacl, blake2b },
      ephemeral,
    );
    assert.equal(sealed, VECTOR);
  });

  it("can be opened with the private key alone, and is different each time", () => {
    const pair = nacl.box.keyPair();
    const publicKey = Buffer.from(pair.publicKey).toString("base64");
    const [first, second] = [1, 2].map(() => Buffer.from(seal(SECRETS, publicKey, { nacl, blake2b }), "base64"));
    assert.notDeepEqual(first, second);
    assert.equal(first.includes("secret"), false);
    const from = first.subarray(0, 32);
    const nonce = blake2b(Buffer.concat([from, pair.publicKey]), { dkLen: 24 });
    const opened = nacl.box.open(first.subarray(32), nonce, from, pair.secretKey);
    assert.deepEqual(JSON.parse(new TextDecoder().decode(opened)), SECRETS);
  });

  it("wipes the ephemeral secret key", () => {
    const pair = nacl.box.keyPair();
    seal(SECRETS, Buffer.from(nacl.box.keyPair().publicKey).toString("base64"), { nacl, blake2b }, pair);
    assert.deepEqual(pair.secretKey, new Uint8Array(32));
  });

  it("refuses a key that is none", () => {
    assert.throws(() => seal(SECRETS, "AAAA", { nacl, blake2b }), /public key/);
  });
});

describe("fingerprint", () => {
  it("shows four and two characters of a long key", () => assert.equal(fingerprint("abcdefghijkl"), "abcd…kl"));
  it("shows nothing of a short one", () => assert.equal(fingerprint("abcdefghijk"), "…"));
});
