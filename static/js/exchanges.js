/** How exchanges are called, and which of the eight colours of tokens.css (--ex-1 to --ex-8) is whose. Pure. */

const COLOURS = 8;

/** name -> [as it is written, three letters where there is no room, colour] */
const KNOWN = {
  binance: ["Binance", "BIN", 1],
  kraken: ["Kraken", "KRA", 2],
  bybit: ["Bybit", "BYB", 3],
  okx: ["OKX", "OKX", 4],
  coinbase: ["Coinbase", "COI", 5],
  krakenfutures: ["Kraken Futures", "KRF", 6],
  lmex: ["LMEX", "LMX", 7],
  alpaca: ["Alpaca", "ALP", 8],
};

/** "krakenfutures" -> "Kraken Futures" */
export function exchangeName(exchange) {
  return KNOWN[exchange]?.[0] ?? exchange.charAt(0).toUpperCase() + exchange.slice(1);
}

/** "krakenfutures" -> "KRF" */
export function exchangeCode(exchange) {
  return KNOWN[exchange]?.[1] ?? exchange.slice(0, 3).toUpperCase();
}

/** The number of an exchange's colour, 1 to 8; for one that we do not know, always the same. */
export function exchangeColour(exchange) {
  if (KNOWN[exchange]) return KNOWN[exchange][2];
  let sum = 0;
  for (const character of exchange) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return (sum % COLOURS) + 1;
}
