/** Which tab is open on the desktop's lower panel and at the phone's lower edge. The styles do the rest. */

import { setAttribute } from "./dom.js";

const PHONE_TABS = ["markets", "book", "chart", "trades", "account"];

export class Layout {
  #prefs;
  #tabs;
  #phoneTabs;

  constructor(prefs, tabs, phoneTabs) {
    this.#prefs = prefs;
    this.#tabs = tabs;
    this.#phoneTabs = phoneTabs;
  }

  start() {
    this.#tabs.addEventListener("click", (event) => {
      const tab = event.target.closest("[role=tab]");
      if (tab) this.#prefs.set("tab", tab.dataset.tab);
    });
    this.#tabs.addEventListener("keydown", (event) => this.#arrow(event));
    this.#phoneTabs.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.#prefs.set("phoneTab", button.dataset.phoneTab);
    });
    this.#prefs.onChange("tab", () => this.#show());
    this.#prefs.onChange("phoneTab", () => this.#show());
    this.#show();
  }

  #visible() {
    return [...this.#tabs.querySelectorAll("[role=tab]")].filter((tab) => tab.offsetParent !== null);
  }

  #show() {
    const all = [...this.#tabs.querySelectorAll("[role=tab]")];
    const wanted = all.find((tab) => tab.dataset.tab === this.#prefs.get("tab")) ?? all[0];
    document.body.dataset.tab = wanted.dataset.tab;
    for (const tab of all) {
      setAttribute(tab, "aria-selected", String(tab === wanted));
      tab.tabIndex = tab === wanted ? 0 : -1;
    }
    const phone = this.#prefs.get("phoneTab");
    const shown = PHONE_TABS.includes(phone) ? phone : "book";
    document.body.dataset.phoneTab = shown;
    for (const button of this.#phoneTabs.children)
      setAttribute(button, "aria-current", button.dataset.phoneTab === shown ? "page" : null);
  }

  #arrow(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || !event.target.closest("[role=tab]")) return;
    event.preventDefault();
    const tabs = this.#visible();
    const next = tabs[(tabs.indexOf(event.target) + by + tabs.length) % tabs.length];
    this.#prefs.set("tab", next.dataset.tab);
    next.focus();
  }
}
