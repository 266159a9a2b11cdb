/**
 * A table of keyed rows, patched in place: a row's elements are made once, texts change only where they differ, and no
 * more rows are kept than are shown.
 *
 * A column is {id, label, cell(row)}; a cell is text or {text, class, title, zeros, tags, note, sub, state}: `zeros` is
 * dimmed behind the text, `note` stands beside it, `sub` below, `action` {text, title, run, disabled} is a button. `num`
 * aligns right, `wide` leaves the column out where the panel is narrow.
 */

import { el, setAttribute, setText } from "./dom.js";
import { NONE } from "./format.js";

export class Table {
  #columns;
  #rows = new Map(); // key -> {element, cells}
  #body = el("tbody");
  #note = el("p", { class: "note", role: "note", text: "" });

  constructor(label, columns) {
    this.#columns = columns;
    const heads = columns.map((column) =>
      el("th", { scope: "col", class: classOf(column), title: column.title, text: column.label }),
    );
    this.element = el(
      "div",
      { class: "table-box" },
      el("table", { class: "table", "aria-label": label }, el("thead", {}, el("tr", {}, ...heads)), this.#body),
      this.#note,
    );
  }

  get size() {
    return this.#rows.size;
  }

  /**
   * @param rows in the order to be shown
   * @param keyOf row -> key, unique
   * @param options {note, className(row), attributes(row): of its element, fresh: Set of keys that slide in,
   *   unchanged(before, row): all its cells are surely as when `before` was drawn}
   */
  draw(rows, keyOf, { note = "", className = () => "", attributes = null, fresh = null, unchanged = null } = {}) {
    const keys = new Set(rows.map(keyOf));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    let after = null;
    for (const row of rows) {
      const key = keyOf(row);
      let held = this.#rows.get(key);
      if (!held) {
        held = this.#make(fresh?.has(key));
        this.#rows.set(key, held);
      }
      const place = after ? after.nextSibling : this.#body.firstChild;
      if (held.element !== place) this.#body.insertBefore(held.element, place);
      after = held.element;
      if (held.drawn !== null && unchanged?.(held.drawn, row)) continue;
      held.drawn = row;
      setAttribute(held.element, "class", [className(row), held.fresh ? "fresh" : ""].join(" ").trim() || null);
      if (attributes) {
        for (const [name, value] of Object.entries(attributes(row))) setAttribute(held.element, name, value);
      }
      this.#columns.forEach((column, i) => held.cells[i].show(column.cell(row)));
    }
    setText(this.#note, note);
    this.#note.hidden = note === "";
    this.element.classList.toggle("empty", rows.length === 0);
  }

  #make(fresh) {
    const cells = this.#columns.map((column) => new Cell(column));
    return { cells, fresh, drawn: null, element: el("tr", {}, ...cells.map((cell) => cell.element)) };
  }
}

class Cell {
  #main = el("span", { class: "cell-main", text: "" });
  #parts = { zeros: null, note: null, sub: null };
  #light = null;
  #tags = [];
  #button = null;
  #action = null;

  constructor(column) {
    this.element = el("td", { class: classOf(column), "data-label": column.label }, this.#main);
  }

  show(value) {
    const cell = typeof value === "object" && value !== null ? value : { text: value };
    setText(this.#main, cell.text ?? NONE);
    setAttribute(this.#main, "class", `cell-main ${cell.class ?? ""}`.trim());
    setAttribute(this.element, "title", cell.title);
    if (cell.state !== undefined) this.#showLight(cell.state);
    if (cell.action !== undefined) this.#showAction(cell.action);
    if (cell.tags || this.#tags.length > 0) this.#showTags(cell.tags ?? []);
    this.#showPart("zeros", cell.zeros ?? "", "zeros");
    this.#showPart("note", cell.note ?? "", "cell-note");
    this.#showPart("sub", cell.sub ?? "", `cell-sub ${cell.subClass ?? ""}`.trim());
  }

  #showLight(state) {
    if (!this.#light) {
      this.#light = el("i", { class: "light", "aria-hidden": "true" });
      this.element.prepend(this.#light);
    }
    setAttribute(this.element, "data-state", state);
  }

  /** The button stays; what it does is the newest row's. */
  #showAction(action) {
    this.#action = action;
    if (!this.#button) {
      this.#button = el("button", { class: "tool cell-action", type: "button", text: "" });
      this.#button.addEventListener("click", () => this.#action?.run());
      this.element.append(this.#button);
    }
    this.#button.hidden = !action;
    if (!action) return;
    setText(this.#button, action.text);
    setAttribute(this.#button, "title", action.title);
    this.#button.disabled = Boolean(action.disabled);
  }

  #showTags(tags) {
    if (this.#tags.map((tag) => tag.dataset.key).join() === tags.map((tag) => tag.text).join()) return;
    for (const tag of this.#tags) tag.remove();
    this.#tags = tags.map(({ text, class: name = "", title }) =>
      el("span", { class: `tag ${name}`, title, "data-key": text, text }),
    );
    this.#main.after(...this.#tags);
  }

  /** Parts are made when they are first needed, in the order of their names above, and then kept. */
  #showPart(name, text, className) {
    if (!this.#parts[name]) {
      if (text === "") return;
      this.#parts[name] = el("span", { text: "" });
      if (name === "zeros") this.#main.after(this.#parts.zeros);
      else if (name === "note") this.element.insertBefore(this.#parts.note, this.#parts.sub);
      else this.element.append(this.#parts.sub);
    }
    const part = this.#parts[name];
    setText(part, text);
    setAttribute(part, "class", className);
    part.hidden = text === "";
  }
}

function classOf({ num, wide, id }) {
  return [`col-${id}`, num ? "num" : "", wide ? "wide" : ""].filter(Boolean).join(" ");
}
