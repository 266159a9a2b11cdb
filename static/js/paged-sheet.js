/** A full-width table of rows that go back through years: filters, one page at a time, and news on the first page. */

import { AccountTopics, Troubles } from "./account-feed.js";
import * as api from "./api.js";
import { csvHref, filtered, queryOf } from "./blotter-model.js";
import { el, onShown, setText, toggleClass } from "./dom.js";
import { FilterBar, Pager } from "./filter-bar.js";
import { Pages } from "./pages.js";
import { Table } from "./table.js";

const LIMIT = 100;
const NEWS_MS = 1500; // how often the first page is read again at most

export class PagedSheet {
  #app;
  #element;
  #what;
  #pages;
  #filters;
  #table;
  #pager;
  #topics;
  #troubles = new Troubles();
  #note = el("p", { class: "note tag-warn", role: "alert", hidden: true, text: "" });
  #body = el("div", { class: "paged-body" });
  #shown = false;
  #following = false;
  #problem = "";
  #news = false;
  #timer = null;

  /**
   * @param what {kind: of the account topics, label, path, query: always sent, filters, columns(app), nothing: what an
   *   empty page says}; rows stand in the answer under the name `kind`, each with its `row`
   */
  constructor(app, element, what) {
    this.#app = app;
    this.#element = element;
    this.#what = what;
    const read = async (query) => {
      const answer = await api.get(what.path, { ...what.query, ...query, limit: LIMIT });
      return { rows: answer[what.kind], next: answer.next };
    };
    this.#pages = new Pages(read, () => app.scheduler.invalidate(this));
    this.#pager = new Pager(this.#pages);
    this.#filters = new FilterBar(app, what.filters, what.label, () => this.#open());
    this.#table = new Table(what.label, what.columns(app));
    this.#topics = new AccountTopics(app, what.kind, (_, frame) => this.#heard(frame));
  }

  start() {
    const { accounts, settings } = this.#app;
    this.#body.append(this.#table.element);
    this.#element.append(this.#filters.element, this.#troubles.element, this.#note, this.#body, this.#pager.element);
    this.#filters.start();
    settings.addEventListener("change", () => this.#open());
    accounts.addEventListener("change", () => this.#open());
    onShown(this.#element, (shown) => {
      this.#shown = shown;
      if (!shown) return;
      if (!this.#following) this.#topics.start();
      this.#following = true;
      if (this.#pages.loaded) this.#renew();
      else this.#open();
    });
  }

  /** From the first page on, with the filters as they are. */
  #open() {
    const { query, problem } = queryOf(this.#filters.values, this.#app.settings.zone);
    this.#problem = problem;
    this.#filters.link(csvHref(query));
    this.#app.scheduler.invalidate(this);
    if (problem || !this.#shown) return;
    this.#news = false;
    this.#body.scrollTop = 0;
    this.#pages.open(query);
  }

  #heard(frame) {
    this.#app.scheduler.invalidate(this);
    if (!frame || !this.#shown || !this.#pages.loaded || !this.#isNews(frame)) return;
    if (this.#atNewest()) this.#renew();
    else this.#news = true;
  }

  /** Would the frame's newest row be on this page? Rows that change (orders, transfers) always may. */
  #isNews({ data }) {
    if (this.#what.kind !== "fills") return true;
    return data.last_row !== null && data.last_row > Math.max(0, ...this.#pages.rows.map((row) => row.row));
  }

  #atNewest() {
    return this.#filters.values.sort === "time" ? this.#pages.next === null : this.#pages.first;
  }

  /** Read the page again soon, unless that is due already. */
  #renew() {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#shown && this.#atNewest()) this.#pages.refresh();
    }, NEWS_MS);
  }

  draw() {
    if (!this.#shown) return;
    const { accounts, settings } = this.#app;
    const pages = this.#pages;
    this.#troubles.show(this.#topics.all());
    const words = this.#problem || pages.problem;
    this.#note.hidden = words === "";
    setText(this.#note, words);
    toggleClass(this.#body, "loading", pages.turning);
    this.#table.draw(
      pages.rows.map((row) => ({ row, account: accounts.byId(row.account) ?? row })),
      ({ row }) => String(row.row),
      { note: pages.rows.length > 0 || words ? "" : this.#emptyNote(), className: this.#what.className },
    );
    this.#pager.show(pages, settings.zone, this.#news && !this.#atNewest());
  }

  #emptyNote() {
    if (!this.#pages.loaded) return "Reading";
    return filtered(this.#filters.values) ? `${this.#what.nothing} with these filters` : this.#what.nothing;
  }
}
