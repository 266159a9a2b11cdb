/**
 * Where streams and REST did not agree about an account, with both figures. Open ones are counted in the top bar,
 * whatever is on the screen; resolved ones stay below, greyed.
 */

import * as api from "./api.js";
import { AccountTopics, Troubles, emptyNote } from "./account-feed.js";
import { el, onShown, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";
import { exchangeName } from "./instruments.js";
import { kindName, merged, openCount, sinceText } from "./notices-model.js";
import { Table } from "./table.js";
import * as zones from "./zone-time.js";

const OLDER = 50;

export class Notices extends EventTarget {
  #app;
  #element;
  #chip;
  #topics;
  #table;
  #troubles = new Troubles();
  #older = new Map(); // row number -> row, read by REST
  #known = null; // row numbers of open ones that were seen
  #more = true;
  #button = el("button", { class: "button sheet-more", type: "button", hidden: true, text: "Older notices" });

  /** @param chip button of the top bar, hidden while nothing is open  @param counts elements that tell how many are */
  constructor(app, element, chip, counts) {
    super();
    this.#app = app;
    this.#element = element;
    this.#chip = chip;
    this.counts = counts;
    this.#topics = new AccountTopics(app, "notices", () => app.scheduler.invalidate(this));
    this.#table = new Table("Notices", this.#columns());
  }

  start() {
    this.#element.append(
      el("p", {
        class: "note notices-about",
        text: "What the exchange's streams told and what it answers when asked are compared all the time. Where they differ, it stands here until they agree again.",
      }),
      this.#troubles.element,
      this.#table.element,
      this.#button,
    );
    this.#button.addEventListener("click", () => this.#readOlder());
    this.#chip.addEventListener("click", () => this.#app.layout.openPortfolio("notices"));
    this.#app.settings.addEventListener("change", () => this.#app.scheduler.invalidate(this));
    onShown(this.#element, () => this.#app.scheduler.invalidate(this));
    this.#topics.start();
    this.#app.scheduler.ageing(this);
  }

  draw() {
    const frames = this.#topics.all();
    const rows = merged(
      frames.map(({ data }) => data?.notices ?? []),
      this.#older,
    );
    this.#count(rows);
    if (this.#element.getClientRects().length === 0) return;
    this.#troubles.show(frames);
    this.#table.draw(rows, (row) => String(row.row), {
      note: rows.length > 0 ? "" : emptyNote(this.#app, frames, "Nothing to tell: all that was compared agreed"),
      className: (row) => (row.open ? "open" : "resolved"),
    });
    this.#button.hidden = !this.#more || rows.length < 20;
  }

  #count(rows) {
    const count = openCount(rows);
    for (const element of this.counts) setText(element, count ? String(count) : "");
    this.#chip.hidden = count === 0;
    const newest = rows.find((row) => row.open);
    setText(this.#chip, `${count} ${count === 1 ? "notice" : "notices"}`);
    setAttribute(this.#chip, "title", newest ? `${newest.label}: ${newest.sentence}` : null);
    const open = new Set(rows.filter((row) => row.open).map((row) => row.row));
    const fresh = this.#known === null ? [] : rows.filter((row) => row.open && !this.#known.has(row.row));
    if (this.#topics.all().every(({ data }) => data !== null) && this.#app.accounts.loaded) this.#known = open;
    for (const row of fresh) {
      this.#app.toast(`${row.label}: ${row.sentence}`);
      this.dispatchEvent(new CustomEvent("opened", { detail: row }));
    }
  }

  async #readOlder() {
    this.#button.disabled = true;
    const frames = this.#topics.all();
    const rows = merged(
      frames.map(({ data }) => data?.notices ?? []),
      this.#older,
    );
    try {
      const before = Math.min(...rows.map((row) => row.row));
      const answer = await api.get("/api/notices/", { before, limit: OLDER });
      // Open ones stand in the frames, which know when they are resolved.
      for (const row of answer.notices) if (!row.open) this.#older.set(row.row, row);
      this.#more = answer.more;
    } catch (error) {
      this.#app.toast(error.message);
    }
    this.#button.disabled = false;
    this.#app.scheduler.invalidate(this);
  }

  #columns() {
    const zone = () => this.#app.settings.zone;
    return [
      {
        id: "state",
        label: "State",
        cell: (row) => ({
          text: row.open ? "OPEN" : "resolved",
          class: row.open ? "warn strong" : "dim",
          sub: sinceText(row, this.#app.nowMs()),
        }),
      },
      {
        id: "what",
        label: "What",
        cell: (row) => ({
          text: row.sentence,
          sub: [kindName(row.kind), row.count > 1 ? `${row.count} times` : "", row.resolution].filter(Boolean).join(" · "),
        }),
      },
      { id: "expected", label: "Streams told", cell: (row) => figure(row.expected) },
      { id: "found", label: "Exchange answers", cell: (row) => figure(row.found) },
      {
        id: "account",
        label: "Account",
        cell: (row) => ({ text: row.label, class: "strong", sub: exchangeName(row.exchange) }),
      },
      {
        id: "opened",
        label: "Seen first",
        cell: (row) => ({
          text: zones.dateTime(row.opened_ms, zone()),
          class: "num",
          sub: row.resolved_ms ? `resolved ${zones.dateTime(row.resolved_ms, zone())}` : "",
        }),
      },
    ];
  }
}

function figure(text) {
  return { text: text || format.NONE, class: "num", title: text || null };
}
