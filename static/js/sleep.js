/**
 * A tab that slept must not show what it held as live (docs/protocol.md 2.6): after a while unseen the connection is
 * given up, and coming back brings a new one before anything is LIVE again.
 */

const GIVE_UP_MS = 30_000;

export class SleepGuard {
  #socket;
  #hiddenAt = null;
  #timer = null;

  constructor(socket) {
    this.#socket = socket;
  }

  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#hide() : this.#show()));
    document.addEventListener("freeze", () => this.#socket.sleep());
    document.addEventListener("resume", () => !document.hidden && this.#socket.wake(Infinity));
    addEventListener("pageshow", (event) => event.persisted && this.#socket.wake(Infinity));
    addEventListener(
      "online",
      () => this.#socket.link.state === "waiting" && this.#socket.reconnect("the network is back"),
    );
    if (document.hidden) this.#hide();
  }

  #hide() {
    this.#hiddenAt ??= { now: performance.now(), wall: Date.now() };
    this.#timer ??= setTimeout(() => this.#socket.sleep(), GIVE_UP_MS);
  }

  #show() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const at = this.#hiddenAt;
    // The monotonic clock may stand still while the device sleeps, and the other one may be set.
    const ms = at === null ? 0 : Math.max(performance.now() - at.now, Date.now() - at.wall);
    this.#hiddenAt = null;
    this.#socket.wake(ms);
  }
}
