/** Own open orders by the row of a ladder in which they stand. Pure. */

import * as decimal from "./decimal.js";
import { rowOf } from "./ladder-model.js";

/**
 * @param orders rows of an `orders` frame  @param model {asks, bids}  @param step decimal of a grouped book, else null
 * @param name called with an order; what is written before it
 * @returns {{asks: Map<number, string>, bids: Map<number, string>}} row -> text
 */
export function ownOrders(orders, model, step, name = () => "") {
  const marks = { asks: new Map(), bids: new Map() };
  for (const order of orders) {
    const isBid = order.side === "buy";
    const index = rowOf(isBid ? model.bids : model.asks, decimal.parse(order.price), isBid, step);
    if (index < 0) continue;
    const map = isBid ? marks.bids : marks.asks;
    const before = map.has(index) ? `${map.get(index)}\n` : "Own: ";
    map.set(index, `${before}${name(order)}${order.side} ${order.size} at ${order.price}`);
  }
  return marks;
}
