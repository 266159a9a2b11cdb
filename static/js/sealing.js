/**
 * Sealing of exchange keys: libsodium's crypto_box_seal, so that only the worker, which holds the private key, can open
 * what the page sends. Box: ephemeral X25519 key, nonce = BLAKE2b-24(ephemeral public key || recipient's public key),
 * XSalsa20-Poly1305; the ephemeral public key stands before the box. Pure: the primitives are passed in.
 */

const NONCE_BYTES = 24;
const KEY_BYTES = 32;

/**
 * @param {object} secrets {key, secret, passphrase}
 * @param {string} publicKey base64, 32 bytes
 * @param {{nacl: object, blake2b: Function}} primitives tweetnacl and @noble/hashes' blake2b
 * @returns {string} base64 of the sealed box
 */
export function seal(secrets, publicKey, { nacl, blake2b }, pair = nacl.box.keyPair()) {
  const recipient = fromBase64(publicKey);
  if (recipient.length !== KEY_BYTES) throw new Error("the server's public key is not one");
  const message = new TextEncoder().encode(JSON.stringify(secrets));
  const nonce = blake2b(joined(pair.publicKey, recipient), { dkLen: NONCE_BYTES });
  const box = nacl.box(message, nonce, recipient, pair.secretKey);
  message.fill(0);
  pair.secretKey.fill(0);
  return toBase64(joined(pair.publicKey, box));
}

/** What may be shown and stored of a key: four characters, an ellipsis, two. Short keys show nothing. */
export function fingerprint(key) {
  return key.length >= 12 ? `${key.slice(0, 4)}…${key.slice(-2)}` : "…";
}

function joined(a, b) {
  const result = new Uint8Array(a.length + b.length);
  result.set(a);
  result.set(b, a.length);
  return result;
}

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
