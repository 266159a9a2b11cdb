/** The dialog of the user's settings. Each is stored as it is changed; one that is refused goes back, with the reason. */

import { el, setText } from "./dom.js";

const SWITCHES = {
  sound: ["Sound", "A short tone at each fill"],
  notifications: ["Notifications", "The browser tells of fills while this page is in the background"],
  title_profit: ["Profit in the title", "The day's profit stands in the browser's tab"],
};

export class SettingsDialog {
  #settings;
  #dialog = el("dialog", { class: "settings", id: "settings", "aria-labelledby": "settings-title" });
  #zone = el("select", { id: "settings-zone", class: "settings-select" });
  #here = el("button", { class: "button button-quiet", type: "button", text: "" });
  #currency = el("select", { id: "settings-currency", class: "settings-select" });
  #switches = {};
  #filled = false; // the list of zones is long: made when it is first looked at
  #status = el("p", { class: "settings-status", role: "status", text: "" });

  /** @param settings Settings */
  constructor(settings) {
    this.#settings = settings;
  }

  start() {
    const close = el("button", { class: "button", type: "button", text: "Close" });
    close.addEventListener("click", () => this.#dialog.close());
    this.#dialog.append(
      el("h2", { id: "settings-title", text: "Settings" }),
      field("settings-zone", "Time zone", "Days begin at its midnight: the day's profit, days of the curve", this.#zone),
      this.#here,
      field("settings-currency", "Currency", "What the portfolio is valued in", this.#currency),
      ...Object.keys(SWITCHES).map((name) => this.#switch(name)),
      el("footer", { class: "settings-foot" }, this.#status, close),
    );
    this.#zone.addEventListener("change", () => this.#put({ zone: this.#zone.value }));
    this.#here.addEventListener("click", () => this.#put({ zone: browserZone() }));
    this.#currency.addEventListener("change", () => this.#put({ currency: this.#currency.value }));
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    this.#settings.addEventListener("change", () => this.#show());
    document.body.append(this.#dialog);
  }

  open() {
    if (!this.#filled) fillZones(this.#zone);
    this.#filled = true;
    this.#show();
    setText(this.#status, this.#settings.problem);
    document.getElementById("menu")?.hidePopover();
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #switch(name) {
    const [label, about] = SWITCHES[name];
    const box = el("input", { type: "checkbox", role: "switch", id: `settings-${name}`, class: "settings-switch" });
    this.#switches[name] = box;
    box.addEventListener("change", () => this.#turn(name, box.checked));
    return field(box.id, label, about, box);
  }

  async #turn(name, on) {
    if (name === "notifications" && on && !(await mayNotify())) {
      this.#show();
      setText(this.#status, "This browser does not let the page notify. Allow it in the browser's settings of this site.");
      return;
    }
    await this.#put({ [name]: on });
  }

  async #put(changes) {
    setText(this.#status, "Saving");
    try {
      await this.#settings.put(changes);
      setText(this.#status, "Saved");
    } catch (error) {
      setText(this.#status, error.message);
    }
    this.#show();
  }

  #show() {
    const settings = this.#settings;
    choose(this.#zone, settings.zone);
    if (this.#currency.options.length === 0)
      for (const name of settings.get("currencies")) this.#currency.append(el("option", { value: name, text: name }));
    choose(this.#currency, settings.currency);
    for (const [name, box] of Object.entries(this.#switches)) box.checked = settings.get(name);
    this.#here.hidden = browserZone() === settings.zone;
    setText(this.#here, `Use this device's: ${browserZone()}`);
    for (const input of [this.#zone, this.#currency, ...Object.values(this.#switches)]) input.disabled = !settings.loaded;
  }
}

function field(id, label, about, input) {
  const words = el("label", { for: id }, el("span", { text: label }), el("small", { text: about }));
  return el("div", { class: "settings-field" }, words, input);
}

/** Select a value, which is added where the list lacks it. */
function choose(select, value) {
  if (![...select.options].some((option) => option.value === value)) select.append(el("option", { value, text: value }));
  select.value = value;
}

function browserZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

/** All zones that the browser knows, by region. */
function fillZones(select) {
  const groups = new Map();
  select.replaceChildren(el("option", { value: "UTC", text: "UTC" }));
  for (const zone of Intl.supportedValuesOf?.("timeZone") ?? []) {
    if (!zone.includes("/")) continue;
    const region = zone.slice(0, zone.indexOf("/"));
    if (!groups.has(region)) groups.set(region, el("optgroup", { label: region }));
    const text = zone.slice(region.length + 1).replaceAll("_", " ");
    groups.get(region).append(el("option", { value: zone, text }));
  }
  select.append(...groups.values());
}

async function mayNotify() {
  if (!("Notification" in globalThis)) return false;
  if (Notification.permission === "default") await Notification.requestPermission();
  return Notification.permission === "granted";
}
