/** The user's own fees by exchange and product, and the threshold of arbitrage: small forms over REST. */

import * as api from "./api.js";
import * as decimal from "./decimal.js";
import { el, onShown, setAttribute, setText, toggleClass } from "./dom.js";
import { ExchangeTag } from "./exchange-tag.js";
import { exchangeName } from "./exchanges.js";
import { FEE, THRESHOLD, asPercent, readBps, readSeconds, sourceText } from "./fees-model.js";

const FEES = "/api/fees/";
const SETTINGS = "/api/arbitrage/settings/";

export class Fees {
  #app;
  #element;
  #csrf;
  #rows = new Map(); // "exchange product" -> FeeForm
  #list = el("div", { class: "fees-list", role: "list", "aria-label": "Fees by exchange" });
  #threshold;
  #note = el("p", { class: "note", role: "status", text: "Reading the fees" });

  /** @param csrf called for the page's CSRF token */
  constructor(app, element, csrf) {
    this.#app = app;
    this.#element = element;
    this.#csrf = csrf;
    this.#threshold = new ThresholdForm((method, body) => this.#send(method, SETTINGS, body));
  }

  start() {
    this.#element.append(
      this.#threshold.element,
      el("p", {
        class: "note fees-about",
        text:
          "Fees in basis points: 10 is 0.10 %, negative is a rebate. They hold for everyone who uses this " +
          "installation, and every matrix is computed anew.",
      }),
      this.#note,
      this.#list,
    );
    onShown(this.#element, (seen) => seen && this.#load());
  }

  async #load() {
    try {
      const [{ fees }, settings] = await Promise.all([api.get(FEES), api.get(SETTINGS)]);
      this.#threshold.show(settings);
      this.#show(fees);
      setText(this.#note, fees.length === 0 ? "The worker has not written its fees yet. Is it running?" : "");
    } catch (error) {
      if (error.status === 401) api.signIn();
      setText(this.#note, error.message);
    }
  }

  #show(fees) {
    const keys = new Set(fees.map(({ exchange, product }) => `${exchange} ${product}`));
    for (const [key, form] of this.#rows) {
      if (keys.has(key)) continue;
      form.element.remove();
      this.#rows.delete(key);
    }
    for (const fee of fees) {
      const key = `${fee.exchange} ${fee.product}`;
      if (!this.#rows.has(key)) {
        const path = `${FEES}${encodeURIComponent(fee.exchange)}/${encodeURIComponent(fee.product)}/`;
        this.#rows.set(key, new FeeForm(fee, (method, body) => this.#send(method, path, body)));
        this.#list.append(this.#rows.get(key).element);
      }
      this.#rows.get(key).show(fee);
    }
  }

  async #send(method, path, body) {
    const answer = await api.change(method, path, this.#csrf(), body);
    this.#app.toast(method === "DELETE" ? "Back to what holds without your own" : "Saved");
    return answer;
  }
}

/** Fields, Save and Reset, and a line for what is wrong. Values that are being typed are left alone. */
class Form {
  fields = {};
  #save = el("button", { class: "button", type: "submit", text: "Save", disabled: true });
  #reset = el("button", { class: "button button-quiet", type: "button", text: "Reset", hidden: true });
  #source = el("span", { class: "fee-source dim", text: "" });
  #problem = el("span", { class: "fee-problem", role: "alert", text: "" });
  #held = {};

  /** @param head element before the fields  @param labels {name: [label, unit]}  @param send (method, body) */
  constructor(head, labels, send) {
    const inputs = Object.entries(labels).map(([name, [label, unit]]) => {
      this.fields[name] = el("input", {
        class: "fee-input num",
        type: "text",
        inputmode: "decimal",
        autocomplete: "off",
        spellcheck: "false",
        "data-field": name,
      });
      return el(
        "label",
        { class: "fee-field" },
        el("span", { class: "dim", text: label }),
        this.fields[name],
        el("span", { class: "dim", text: unit }),
      );
    });
    this.element = el("form", { class: "fee-form", novalidate: true }, head, ...inputs, this.#save, this.#reset);
    this.element.append(this.#source, this.#problem);
    this.element.addEventListener("input", () => this.#typed());
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      const { body, problem } = this.read();
      setText(this.#problem, problem);
      if (!problem) this.#change(() => send("PUT", body));
    });
    this.#reset.addEventListener("click", () => this.#change(() => send("DELETE")));
  }

  /** @param values texts by field  @param own whether they are the user's  @param source where they come from */
  fill(values, { own, source, title = null, force = false }) {
    const untouched = Object.keys(this.fields).every((name) => this.fields[name].value === (this.#held[name] ?? ""));
    if (untouched || force) for (const [name, value] of Object.entries(values)) this.fields[name].value = value;
    this.#held = values;
    this.#reset.hidden = !own;
    setText(this.#source, source);
    setAttribute(this.#source, "title", title);
    this.#typed();
  }

  #typed() {
    const changed = Object.entries(this.fields).some(([name, field]) => field.value.trim() !== this.#held[name]);
    this.#save.disabled = !changed;
    const { problem } = this.read();
    setText(this.#problem, changed ? problem : "");
    toggleClass(this.element, "wrong", changed && problem);
  }

  async #change(request) {
    this.#save.disabled = this.#reset.disabled = true;
    try {
      this.show(await request(), true);
    } catch (error) {
      setText(this.#problem, error.message);
      this.#save.disabled = false;
    }
    this.#reset.disabled = false;
  }
}

class FeeForm extends Form {
  constructor({ exchange, product }, send) {
    const tag = new ExchangeTag("long");
    tag.show(exchange);
    const head = el("span", { class: "fee-name" }, tag.element, el("span", { class: "dim", text: product }));
    super(head, { maker_bps: ["Maker", "bps"], taker_bps: ["Taker", "bps"] }, send);
    for (const [name, field] of Object.entries(this.fields)) {
      const kind = name.split("_")[0];
      setAttribute(field, "aria-label", `${exchangeName(exchange)} ${product} ${kind} fee in basis points`);
    }
    setAttribute(this.element, "role", "listitem");
    setAttribute(this.element, "data-fee", `${exchange} ${product}`);
  }

  show(fee, force = false) {
    const without = fee.without_user;
    const percent = (name) => asPercent(decimal.parse(fee[name]));
    const note = fee.source === "user" ? ` (else ${without.maker_bps} / ${without.taker_bps})` : "";
    this.fill(
      { maker_bps: fee.maker_bps, taker_bps: fee.taker_bps },
      {
        own: fee.source === "user",
        source: `${percent("maker_bps")} / ${percent("taker_bps")} · ${sourceText(fee)}${note}`,
        title: sourceText(fee),
        force,
      },
    );
  }

  read() {
    const maker = readBps(this.fields.maker_bps.value, FEE, "The maker fee");
    const taker = readBps(this.fields.taker_bps.value, FEE, "The taker fee");
    return { body: { maker_bps: maker.value, taker_bps: taker.value }, problem: maker.problem || taker.problem };
  }
}

class ThresholdForm extends Form {
  constructor(send) {
    const head = el("span", { class: "fee-name", text: "Arbitrage event" });
    super(head, { threshold_bps: ["Net", "bps"], duration_s: ["for", "s"] }, send);
  }

  show({ threshold_bps: threshold, duration_s: seconds, source }, force = false) {
    this.fill(
      { threshold_bps: threshold, duration_s: String(seconds) },
      { own: source === "user", source: sourceText({ source }), force },
    );
  }

  read() {
    const threshold = readBps(this.fields.threshold_bps.value, THRESHOLD, "The threshold");
    const seconds = readSeconds(this.fields.duration_s.value, "The duration");
    return {
      body: { threshold_bps: threshold.value, duration_s: seconds.value },
      problem: threshold.problem || seconds.problem,
    };
  }
}
