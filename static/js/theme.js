/** Theme and colour pair: preferences turned into attributes of the root element. */

export class Theme extends EventTarget {
  #prefs;
  #light;

  constructor(prefs) {
    super();
    this.#prefs = prefs;
    this.#light = matchMedia("(prefers-color-scheme: light)");
  }

  start() {
    this.#prefs.onChange("theme", () => this.#apply());
    this.#prefs.onChange("colours", () => this.#apply());
    this.#light.addEventListener("change", () => this.#apply());
    this.#apply();
  }

  /** "dark" or "light" */
  get shown() {
    const theme = this.#prefs.get("theme");
    if (theme === "system") return this.#light.matches ? "light" : "dark";
    return theme === "light" ? "light" : "dark";
  }

  toggle() {
    this.#prefs.set("theme", this.shown === "dark" ? "light" : "dark");
  }

  /** The value of a custom property, for what is drawn on a canvas. */
  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  #apply() {
    const root = document.documentElement;
    root.dataset.theme = this.shown;
    root.dataset.colours = this.#prefs.get("colours");
    this.dispatchEvent(new Event("change"));
  }
}
