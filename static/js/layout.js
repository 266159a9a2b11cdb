/** Which view is open, which tab of its lower panel, and which at the phone's lower edge. The styles do the rest. */

import { setAttribute } from "./dom.js";

const VIEWS = ["trade", "across", "portfolio"];
const PHONE_TABS = ["markets", "book", "chart", "trades", "across", "account", "portfolio"];

export class Layout extends EventTarget {
  #prefs;
  #parts;
  #bars;
  #phone = matchMedia("(width < 760px)");

  /** @param parts {tabs, acrossTabs, portfolioTabs, phoneTabs, views} elements of the template */
  constructor(prefs, parts) {
    super();
    this.#prefs = prefs;
    this.#parts = parts;
    this.#bars = [
      new TabBar(prefs, parts.tabs, "tab"),
      new TabBar(prefs, parts.acrossTabs, "acrossTab"),
      new TabBar(prefs, parts.portfolioTabs, "portfolioTab"),
    ];
  }

  start() {
    const { phoneTabs, views } = this.#parts;
    for (const bar of this.#bars) bar.start();
    phoneTabs.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.#prefs.set("phoneTab", button.dataset.phoneTab);
    });
    views.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.#prefs.set("view", button.dataset.view);
    });
    this.#prefs.onChange("phoneTab", () => this.#show());
    this.#prefs.onChange("view", () => this.#show());
    this.#phone.addEventListener("change", () => this.#show());
    this.#show();
  }

  /** Whose order book is meant: "trade" or "across". A phone has one view: the others are some of its tabs. */
  get view() {
    return this.#prefs.get("view") === "across" && !this.#phone.matches ? "across" : "trade";
  }

  toggleView() {
    if (this.#phone.matches) this.#prefs.set("phoneTab", this.#prefs.get("phoneTab") === "across" ? "book" : "across");
    else this.#prefs.set("view", this.view === "across" ? "trade" : "across");
  }

  /** Bring one of the panels of what several exchanges show to the front, where it is not there already. */
  open(acrossTab) {
    if (this.#phone.matches) this.#prefs.set("phoneTab", "across");
    else if (this.view !== "across") this.#prefs.set("view", "across");
    if (this.#bars[1].has(acrossTab)) this.#prefs.set("acrossTab", acrossTab);
  }

  /** To the portfolio and back to the market. */
  togglePortfolio() {
    if (this.#phone.matches)
      this.#prefs.set("phoneTab", this.#prefs.get("phoneTab") === "portfolio" ? "book" : "portfolio");
    else this.#prefs.set("view", document.body.dataset.view === "portfolio" ? "trade" : "portfolio");
  }

  /** Bring one of the portfolio's tabs to the front. */
  openPortfolio(tab) {
    this.#prefs.set("portfolioTab", tab);
    if (this.#phone.matches) this.#prefs.set("phoneTab", "portfolio");
    else this.#prefs.set("view", "portfolio");
  }

  #show() {
    const view = this.#prefs.get("view");
    document.body.dataset.view = VIEWS.includes(view) ? view : "trade";
    for (const button of this.#parts.views.children)
      setAttribute(button, "aria-pressed", String(button.dataset.view === document.body.dataset.view));
    const phone = this.#prefs.get("phoneTab");
    const shown = PHONE_TABS.includes(phone) ? phone : "book";
    document.body.dataset.phoneTab = shown;
    for (const button of this.#parts.phoneTabs.children)
      setAttribute(button, "aria-current", button.dataset.phoneTab === shown ? "page" : null);
    this.dispatchEvent(new Event("change"));
  }
}

/** A row of tabs; the chosen one stands in a preference and, under the same name, on the body. */
class TabBar {
  #prefs;
  #element;
  #name;

  constructor(prefs, element, name) {
    this.#prefs = prefs;
    this.#element = element;
    this.#name = name;
  }

  start() {
    this.#element.addEventListener("click", (event) => {
      const tab = event.target.closest("[role=tab]");
      if (tab) this.#prefs.set(this.#name, tab.dataset.tab);
    });
    this.#element.addEventListener("keydown", (event) => this.#arrow(event));
    this.#prefs.onChange(this.#name, () => this.#show());
    this.#show();
  }

  /** Is this a tab at the present width? */
  has(name) {
    return this.#visible().some((tab) => tab.dataset.tab === name);
  }

  #all() {
    return [...this.#element.querySelectorAll("[role=tab]")];
  }

  #visible() {
    return this.#all().filter((tab) => tab.offsetParent !== null);
  }

  #show() {
    const all = this.#all();
    const wanted = all.find((tab) => tab.dataset.tab === this.#prefs.get(this.#name)) ?? all[0];
    document.body.dataset[this.#name] = wanted.dataset.tab;
    for (const tab of all) {
      setAttribute(tab, "aria-selected", String(tab === wanted));
      tab.tabIndex = tab === wanted ? 0 : -1;
    }
  }

  #arrow(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || !event.target.closest("[role=tab]")) return;
    event.preventDefault();
    const tabs = this.#visible();
    const next = tabs[(tabs.indexOf(event.target) + by + tabs.length) % tabs.length];
    this.#prefs.set(this.#name, next.dataset.tab);
    next.focus();
  }
}
