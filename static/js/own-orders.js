/** Own open orders by the row of a ladder in which they stand. Pure. */

import * as decimal from "./decimal.js";
import * as format from "./format.js";
import { rowOf } from "./ladder-model.js";

/**
 * @param orders rows of an `orders` frame  @param model {asks, bids}  @param step decimal of a grouped book, else null
 * @param name called with an order; what is written before it
 * @returns {{asks: Map, bids: Map}} number of the row -> {text, side, left, size, orders}: `text` says all of it,
 *   `left` is the decimal that is not filled yet of all `orders` of the row, `size` that in few characters
 */
export function ownOrders(orders, model, step, name = () => "") {
  const marks = { asks: new Map(), bids: new Map() };
  for (const order of orders) {
    const isBid = order.side === "buy";
    const index = rowOf(isBid ? model.bids : model.asks, decimal.parse(order.price), isBid, step);
    if (index < 0) continue;
    const map = isBid ? marks.bids : marks.asks;
    const mark = map.get(index) ?? { text: "", side: order.side, left: decimal.ZERO, size: "", orders: [] };
    const left = leftOf(order);
    mark.text += mark.text ? "\n" : "Own: ";
    mark.text += `${name(order)}${order.side} ${sizes(order, left)} at ${order.price}`;
    mark.left = decimal.add(mark.left, left);
    mark.orders.push(order);
    mark.size = (mark.orders.length > 1 ? `${mark.orders.length}·` : "") + few(mark.left);
    map.set(index, mark);
  }
  return marks;
}

/** What of an order is not filled yet. */
export function leftOf(order) {
  return decimal.subtract(decimal.parse(order.size), decimal.parseOrNull(order.filled) ?? decimal.ZERO);
}

function sizes(order, left) {
  const part = decimal.compare(left, decimal.parse(order.size)) < 0;
  return part ? `${decimal.text(decimal.normalize(left))} of ${order.size} left` : order.size;
}

/** A size in at most about six characters: "0.075", "1,204", "12.5K", "0.000123". */
export function few(d) {
  const value = decimal.normalize(d);
  if (decimal.compare(value, { n: 10_000n, places: 0 }) >= 0) return format.compact(value, 3);
  const whole = decimal.text(value).split(".")[0].replace(/^0$/, "");
  const digits = value.n.toString().length;
  const places = whole ? Math.max(0, 4 - whole.length) : value.places - digits + 3;
  return format.fixed(decimal.normalize(decimal.rescale(value, Math.min(value.places, places))));
}
