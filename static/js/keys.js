/** Keyboard shortcuts, and the dialog that lists them. */

import { INTERVALS } from "./chart-data.js";
import { el, isTyping } from "./dom.js";

export class Keys {
  #app;
  #dialog;
  #bindings;

  constructor(app, dialog) {
    this.#app = app;
    this.#dialog = dialog;
    const names = Object.keys(INTERVALS);
    this.#bindings = [
      { keys: ["/"], does: "Find a market", run: () => app.palette.open() },
      {
        keys: ["j", "k"],
        does: "Next and previous market of the list",
        run: (key) => app.watchlist.step(key === "j" ? 1 : -1),
      },
      { keys: ["f"], does: "Fold the other exchanges' markets, or unfold all", run: () => app.watchlist.foldAll() },
      { keys: ["a"], does: "One market, or all exchanges together", run: () => app.layout.toggleView() },
      { keys: ["w"], does: "Worth of all accounts, and back", run: () => app.layout.togglePortfolio() },
      { keys: ["b"], does: "Order book of this exchange or of all", run: () => app.book.toggle() },
      { keys: ["m"], does: "To the matrix; arrows move, Enter opens the two books", run: () => app.matrix.focus() },
      {
        keys: [",", "."],
        does: "Smaller and larger size of the matrix",
        run: (key) => app.choice.step(key === "," ? -1 : 1),
      },
      {
        keys: ["[", "]"],
        does: "Group the book less and more",
        run: (key) => app.book.active.group(key === "[" ? -1 : 1),
      },
      { keys: [" "], label: "Space", does: "Book back to the middle", run: () => app.book.active.centre() },
      { keys: ["u"], does: "Sizes in base or quote currency", run: () => app.ladder.toggleUnit() },
      { keys: ["p"], does: "Pause and resume the book", run: () => app.book.active.pause() },
      {
        keys: names.map((_, i) => String(i + 1)),
        label: `1 – ${names.length}`,
        does: `Bars of ${names.join(", ")}`,
        run: (key) => app.chart.setInterval(names[Number(key) - 1]),
      },
      { keys: ["t"], does: "Dark or light", run: () => app.theme.toggle() },
      { keys: ["?"], does: "These keys", run: () => this.open() },
    ];
  }

  start() {
    const list = el("dl", { class: "keys" });
    for (const { keys, label, does } of this.#bindings) {
      const shown = label ? [label] : keys;
      list.append(el("dt", {}, ...shown.map((text) => el("kbd", { text }))), el("dd", { text: does }));
    }
    list.append(
      el("dt", {}, el("kbd", { text: "↑" }), el("kbd", { text: "↓" })),
      el("dd", { text: "In the book: cost up to a row; Enter takes its price into the ticket, or copies it" }),
    );
    const close = el("button", { class: "button", type: "button", text: "Close" });
    close.addEventListener("click", () => this.#dialog.close());
    this.#dialog.append(el("h2", { text: "Keys" }), list, close);
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const binding = this.#bindings.find(({ keys }) => keys.includes(event.key));
    // Space presses a focused button; that must stay so.
    if (!binding || (event.key === " " && event.target.closest?.("button, a, summary, [role=tab]"))) return;
    event.preventDefault();
    binding.run(event.key);
  }
}
