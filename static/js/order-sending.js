/**
 * One confirmation of one order. Its key is made once: whatever is lost on the way, sending it again is the same order
 * and never a second one (docs/protocol.md). Pure: the request and the key are passed in.
 */

import * as decimal from "./decimal.js";
import * as format from "./format.js";

/** state -> [what it says, may it be sent again, colour] */
const WORDS = {
  ready: ["", true, ""],
  sending: ["Sending", false, ""],
  sent: ["Sent. The exchange has not answered yet.", true, "warn"],
  placed: ["Placed", false, "good"],
  refused: ["Refused", false, "bad"],
  absent: ["Not placed: the exchange does not have it", true, "warn"],
  unsure: ["Not known yet whether the exchange has it", true, "warn"],
  unanswered: ["No answer", true, "warn"],
};

export class OrderSending {
  #post;
  #open = false; // an attempt may have reached the exchange
  state = "ready";
  sentence = "";
  orderId = null;
  tries = 0;

  /** @param order of ticket-model's read()  @param post (body) -> promise of the answer  @param key text */
  constructor(order, post, key) {
    this.body = Object.freeze({ key, ...order });
    this.#post = post;
  }

  get mayBeSent() {
    return WORDS[this.state][1];
  }

  get colour() {
    return WORDS[this.state][2];
  }

  /** It was sent, and may stand, or not: that is not known. */
  get isOpen() {
    return ["sending", "sent", "unsure", "unanswered"].includes(this.state);
  }

  /** Is this what was asked for? @param order of ticket-model's read() */
  means(order) {
    return Object.entries(order).every(([name, value]) => this.body[name] === value);
  }

  /** What to say of it: the state's words, then the exchange's own. */
  get words() {
    return [WORDS[this.state][0], this.sentence];
  }

  /** What the button says. */
  get verb() {
    if (this.state === "ready" || this.state === "sending") return "Send";
    return this.state === "absent" ? "Send again" : "Ask again";
  }

  /** One POST; called again, the same. Never throws. */
  async send() {
    if (!this.mayBeSent) return;
    this.state = "sending";
    this.tries += 1;
    try {
      const answer = await this.#post(this.body);
      this.state = answer.state in WORDS ? answer.state : "unsure";
      this.sentence = answer.sentence ?? "";
      this.orderId = answer.order_id ?? null;
      this.#open = this.mayBeSent && this.state !== "absent";
    } catch (error) {
      this.#failed(error);
    }
  }

  /** 4xx is an answer: this attempt was not sent. Any other, and one before this, may have reached the exchange. */
  #failed(error) {
    const said = error.status >= 400 && error.status < 500;
    if (!said) this.#open = true;
    this.state = !said ? "unanswered" : this.#open ? "unsure" : "refused";
    this.sentence =
      this.state === "refused"
        ? error.message
        : `${error.message} The order may stand, or not. Asking again sends the same order, never a second one.`;
  }
}

/** "Buy 0.01 BTC at 60,000.1", by the order's own numbers. */
export function sentenceOf(order, base, quote) {
  const verb = order.side === "buy" ? "Buy" : "Sell";
  const size = format.fixed(decimal.normalize(decimal.parse(order.size)));
  return `${verb} ${size} ${base} ${order.price ? `at ${format.plain(order.price)} ${quote}` : "at the market"}`;
}
