/**
 * Invalidate, then draw once per animation frame. Message handlers only mark views dirty; nothing else writes the DOM.
 *
 * A view is an object with draw(). One that throws is reported once and does not keep its neighbours from drawing.
 */

const TICK_MS = 1000;

export class Scheduler {
  #dirty = new Set();
  #ageing = new Set();
  #broken = new WeakSet();
  #environment;
  #frame = null;
  #timer = null;

  /** Called before a draw; its result is passed to `painted` after the browser has painted. */
  beforeDraw = () => null;
  painted = () => {};
  failed = (error) => console.error(error);

  /** @param environment {requestFrame(run), afterPaint(run), setInterval, clearInterval} */
  constructor(environment) {
    this.#environment = environment;
  }

  start() {
    if (this.#timer !== null) return;
    this.#timer = this.#environment.setInterval(() => this.tick(), TICK_MS);
  }

  stop() {
    if (this.#timer !== null) this.#environment.clearInterval(this.#timer);
    this.#timer = null;
    this.#dirty.clear();
  }

  /** Draw this view in the next frame. */
  invalidate(view) {
    this.#dirty.add(view);
    this.request();
  }

  /** Draw this view at least once a second: it shows an age. */
  ageing(view) {
    this.#ageing.add(view);
    this.invalidate(view);
  }

  tick() {
    for (const view of this.#ageing) this.#dirty.add(view);
    this.request();
  }

  /** Ask for a frame even if no view changed, so that what came is confirmed. */
  request() {
    if (this.#frame !== null) return;
    this.#frame = this.#environment.requestFrame(() => this.#draw());
  }

  #draw() {
    this.#frame = null;
    const mark = this.beforeDraw();
    const views = [...this.#dirty];
    this.#dirty.clear();
    for (const view of views) {
      try {
        view.draw();
      } catch (error) {
        if (!this.#broken.has(view)) this.failed(error);
        this.#broken.add(view);
      }
    }
    this.#environment.afterPaint(() => this.painted(mark));
  }
}

export function browserEnvironment() {
  const channel = new MessageChannel();
  const waiting = [];
  // A message posted while a frame is prepared is delivered after that frame was painted.
  channel.port1.onmessage = () => {
    for (const run of waiting.splice(0)) run();
  };
  return {
    requestFrame: (run) => requestAnimationFrame(run),
    afterPaint: (run) => {
      waiting.push(run);
      channel.port2.postMessage(null);
    },
    setInterval: (run, ms) => setInterval(run, ms),
    clearInterval: (timer) => clearInterval(timer),
  };
}
