/** If wanted: a sound of a new fill and, while nobody looks, a notification; and the day's profit in the title. */

import * as api from "./api.js";
import { AccountTopics } from "./account-feed.js";
import { FillNews, newsText, profitOf } from "./fill-news.js";
import * as format from "./format.js";

const AGAIN_MS = 60_000;

export class FillAlerts {
  #app;
  #news = new FillNews();
  #topics;
  #wishes = { sound: false, notifications: false, title_profit: false };
  #audio = null;
  #portfolio = null; // the topic, while it is wanted
  #stop = () => {};
  #user = null;

  constructor(app) {
    this.#app = app;
    this.#topics = new AccountTopics(app, "fills", (id, frame) => this.#came(id, frame));
  }

  start() {
    this.#topics.start();
    // Sound may only begin with something that the user did.
    for (const event of ["pointerdown", "keydown"]) addEventListener(event, () => this.#wake(), { passive: true });
    // Changed in this tab, or in another one before this is looked at again.
    this.#app.settings?.addEventListener("change", () => this.load());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.load());
    this.load();
    setInterval(() => this.load(), AGAIN_MS);
  }

  async load() {
    try {
      this.wish(await api.get("/api/settings/"));
    } catch {
      // What was wished before still holds.
    }
  }

  /** @param settings the answer of /api/settings/, or a part of it */
  wish(settings) {
    this.#wishes = { ...this.#wishes, ...settings };
    this.user(this.#wishes.user ?? this.#user);
  }

  /** @param number of who is signed in: the hello tells it */
  user(number) {
    this.#user = number;
    const topic = this.#wishes.title_profit && number !== null ? `portfolio:${number}` : null;
    if (topic === this.#portfolio) return;
    this.#stop();
    this.#portfolio = topic;
    this.#stop = topic ? this.#app.store.watch(topic, () => {}) : () => {};
  }

  /** The day's profit for the title of the tab, a dash while it is not known, "" where it is not wanted or not current. */
  title() {
    if (!this.#portfolio) return "";
    const { store } = this.#app;
    const told = profitOf(store.data(this.#portfolio), store.status(this.#portfolio, this.#app.serverUs()));
    if (!told) return "";
    return `${told.complete || told.profit === null ? "" : "≈"}${format.plain(told.profit, 2, { plus: true })} ${told.currency} · `;
  }

  #came(id, frame) {
    if (id !== null && !this.#app.accounts.byId(id)) this.#news.forget(id);
    if (!frame) return;
    const fills = this.#news.take(id, frame.data);
    if (fills.length === 0) return;
    if (this.#wishes.sound) this.#play(fills.at(-1).side);
    if (this.#wishes.notifications) this.#notify(id, fills);
  }

  #wake() {
    if (!this.#wishes.sound) return;
    this.#audio ??= new AudioContext();
    if (this.#audio.state === "suspended") this.#audio.resume().catch(() => {});
  }

  /** Two short tones, rising for a purchase and falling for a sale. */
  #play(side) {
    if (!this.#audio || this.#audio.state !== "running") return;
    const now = this.#audio.currentTime;
    const tones = side === "buy" ? [660, 880] : [660, 495];
    tones.forEach((hertz, i) => {
      const [tone, volume] = [this.#audio.createOscillator(), this.#audio.createGain()];
      const begin = now + i * 0.09;
      tone.frequency.value = hertz;
      volume.gain.setValueAtTime(0.0001, begin);
      volume.gain.exponentialRampToValueAtTime(0.18, begin + 0.012);
      volume.gain.exponentialRampToValueAtTime(0.0001, begin + 0.16);
      tone.connect(volume).connect(this.#audio.destination);
      tone.start(begin);
      tone.stop(begin + 0.18);
    });
  }

  /** Who looks at the page sees the row slide in. */
  #notify(id, fills) {
    if (document.hasFocus() || globalThis.Notification?.permission !== "granted") return;
    const account = this.#app.accounts.byId(id);
    const simulated = account?.simulated ? " · SIMULATED" : "";
    const [title, body] = newsText(fills, `${account?.label ?? ""}${simulated}`);
    const notification = new Notification(title, { body, tag: `fills ${id} ${fills.at(-1).row}`, silent: true });
    notification.onclick = () => {
      focus();
      notification.close();
    };
  }
}
