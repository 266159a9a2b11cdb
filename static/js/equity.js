/** The equity curve of all accounts or of one: read anew every minute, as often as a point comes. */

import * as api from "./api.js";
import * as decimal from "./decimal.js";
import { el, onShown, setAttribute, setClass, setText, toggleClass } from "./dom.js";
import * as model from "./equity-model.js";
import { EquityView } from "./equity-view.js";
import * as format from "./format.js";
import { money, moneyPlaces } from "./portfolio-model.js";
import * as zones from "./zone-time.js";

const EVERY_MS = 60_000;
const AGAIN_MS = 5000;
const OLD_MS = 150_000;
const TWO_DAYS_MS = 2 * 86_400_000;

export class Equity {
  #app;
  #parts;
  #view = null;
  #answer = null; // newest of the API, with `drawn`, `marks` and `by` (at_ms -> point)
  #readAt = -Infinity;
  #request = null;
  #timer = null;
  #problem = "";
  #pointed = null;
  #fit = true;
  #legend = {};

  /** @param parts {body, canvas, legend, note, ranges, account, state} elements of the template */
  constructor(app, parts) {
    this.#app = app;
    this.#parts = parts;
  }

  start() {
    const { account, body, legend, ranges } = this.#parts;
    for (const name of Object.keys(model.RANGES)) {
      const button = el("button", { type: "button", class: "tool", "data-range": name, text: name === "all" ? "All" : name });
      button.addEventListener("click", () => this.#app.prefs.set("equityRange", name));
      ranges.append(button);
    }
    for (const name of ["time", "value", "why", "moved"]) {
      this.#legend[name] = el("span", { class: `equity-${name}`, text: "" });
      legend.append(this.#legend[name]);
    }
    account.addEventListener("change", () => this.#open());
    this.#app.prefs.onChange("equityRange", () => this.#open());
    this.#app.accounts.addEventListener("change", () => this.#showAccounts());
    this.#app.settings.addEventListener("change", () => this.#open());
    this.#app.theme.addEventListener("change", () => this.#view?.restyle());
    this.#showAccounts();
    this.#showRange();
    onShown(body, (shown) => {
      if (!shown) return clearTimeout(this.#timer);
      this.#load();
    });
    this.#app.scheduler.ageing(this);
  }

  get #range() {
    const name = this.#app.prefs.get("equityRange");
    return name in model.RANGES ? name : "1d";
  }

  #showAccounts() {
    const select = this.#parts.account;
    const chosen = select.value;
    select.replaceChildren(el("option", { value: "", text: "All accounts" }));
    for (const { id, label } of this.#app.accounts.list) select.append(el("option", { value: String(id), text: label }));
    select.value = [...select.options].some((option) => option.value === chosen) ? chosen : "";
    if (select.value !== chosen) this.#open();
  }

  #showRange() {
    for (const button of this.#parts.ranges.children)
      setAttribute(button, "aria-pressed", String(button.dataset.range === this.#range));
  }

  /** Something else is asked for: a curve of before must not stand under its name. */
  #open() {
    this.#showRange();
    this.#fit = true;
    this.#answer = null;
    this.#problem = "";
    this.#view?.clear();
    this.#app.scheduler.invalidate(this);
    if (this.#parts.body.getClientRects().length > 0) this.#load();
  }

  async #load() {
    clearTimeout(this.#timer);
    this.#request?.abort();
    const request = (this.#request = new AbortController());
    const query = model.rangeQuery(this.#range, this.#app.nowMs(), this.#parts.account.value);
    try {
      const answer = await api.get("/api/equity/", query, { signal: request.signal });
      if (request.signal.aborted) return;
      this.#take(answer);
      this.#problem = "";
      this.#timer = setTimeout(() => this.#load(), EVERY_MS);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status === 401) api.signIn();
      this.#problem = error.message;
      this.#timer = setTimeout(() => this.#load(), AGAIN_MS);
    }
    this.#app.scheduler.invalidate(this);
  }

  #take(answer) {
    const points = answer.points.filter((point) => point.value !== null);
    const drawn = model.curve(points, answer.grain_s * 1000);
    const marks = model.marks(answer.transfers, points).map((mark) => ({ ...mark, text: model.markText(mark) }));
    const by = new Map(points.map((point) => [point.at_ms, point]));
    this.#answer = { ...answer, points, drawn, marks, by };
    this.#readAt = performance.now();
    if (!this.#view) this.#makeView();
    const intraday = answer.grain_s < 86_400 && points.length > 0 && points.at(-1).at_ms - points[0].at_ms < TWO_DAYS_MS;
    const places = moneyPlaces(answer.currency);
    const { zone } = this.#app.settings;
    this.#view.show(drawn, marks, { places, zone, intraday }, { fit: this.#fit });
    this.#fit = false;
  }

  #makeView() {
    this.#view = new EquityView(this.#parts.canvas, this.#app.theme);
    this.#view.onPoint((ms) => {
      this.#pointed = ms;
      this.#app.scheduler.invalidate(this);
    });
  }

  draw() {
    const { body, note, state } = this.#parts;
    if (body.getClientRects().length === 0) return;
    const answer = this.#answer;
    const old = performance.now() - this.#readAt;
    toggleClass(body, "stale", answer && old > OLD_MS);
    const words = this.#problem
      ? `${answer ? "No newer points" : "No curve"}: ${this.#problem}`
      : !answer
        ? "Reading the curve"
        : answer.points.length === 0
          ? "No point yet in this time. One is kept every minute while an account is followed."
          : "";
    note.hidden = words === "";
    setText(note, words);
    if (!answer) {
      this.#parts.legend.hidden = true;
      return setText(state, "");
    }
    const missing = model.incomplete(answer.points);
    setText(state, missing > 0 ? `${missing} of ${answer.points.length} points incomplete` : "");
    setClass(state, missing > 0 ? "num warn" : "num");
    this.#drawLegend(answer);
  }

  #drawLegend(answer) {
    const point = (this.#pointed === null ? null : answer.by.get(this.#pointed)) ?? answer.points.at(-1);
    this.#parts.legend.hidden = !point;
    if (!point) return;
    const { currency } = answer;
    const mark = answer.marks.find(({ at_ms }) => at_ms === point.at_ms);
    const moves = (mark?.rows ?? []).map(model.transferText).join(", ");
    setText(this.#legend.time, zones.dateTime(point.at_ms, this.#app.settings.zone).slice(0, 16));
    setText(this.#legend.value, `${money(point.value, currency)} ${currency}`);
    setText(this.#legend.why, [point.complete ? "" : `Incomplete: ${point.reason}`, moves].filter(Boolean).join(" · "));
    toggleClass(this.#legend.why, "warn", !point.complete);
    const moved = model.moved(answer.points);
    if (!moved) return setText(this.#legend.moved, "");
    const ratio = moved.ratio ? ` (${format.percent(moved.ratio)})` : "";
    setText(this.#legend.moved, `${money(decimal.text(moved.amount), currency, { plus: true })}${ratio} in this time`);
    setAttribute(this.#legend.moved, "title", "First to last complete point; deposits and withdrawals are in it");
  }
}
