/** Time, timers and sockets that a test moves by hand. */

export class Timeline {
  now = 1_000_000;
  asleep = 0; // how much longer the device slept than its monotonic clock says
  #timers = new Map();
  #next = 1;

  setTimeout = (run, ms) => {
    this.#timers.set(this.#next, { run, at: this.now + ms });
    return this.#next++;
  };

  clearTimeout = (id) => this.#timers.delete(id);

  get pending() {
    return this.#timers.size;
  }

  /** Let `ms` pass, running what falls due in order. */
  pass(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      const [id, { run, at }] = due;
      this.#timers.delete(id);
      this.now = Math.max(this.now, at);
      run();
    }
    this.now = end;
  }

  /** The device sleeps: time passes, no timer runs until it wakes. */
  sleep(ms) {
    this.now += ms;
  }

  /** And its monotonic clock stands still meanwhile, as on most systems. */
  sleepDeeply(ms) {
    this.asleep += ms;
  }
}

export class FakeWebSocket {
  static all = [];
  readyState = 0;
  sent = [];
  closed = null;

  constructor(url) {
    this.url = url;
    FakeWebSocket.all.push(this);
  }

  static get last() {
    return FakeWebSocket.all.at(-1);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.closed = code;
  }

  // What a test does

  open() {
    this.readyState = 1;
  }

  message(content) {
    this.onmessage({ data: JSON.stringify(content) });
  }

  hello(more = {}) {
    this.open();
    this.message({ type: "hello", protocol: 1, server_us: 1, max_topics: 200, simulated: [], ...more });
  }

  bundle(number, frames = []) {
    this.message({ type: "bundle", bundle: number, frames });
  }

  lose(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }

  of(type) {
    return this.sent.filter((message) => message.type === type);
  }
}

export function environment() {
  FakeWebSocket.all = [];
  const time = new Timeline();
  return {
    time,
    WebSocket: FakeWebSocket,
    now: () => time.now,
    wall: () => time.now + time.asleep,
    clockUs: () => time.now * 1000,
    setTimeout: time.setTimeout,
    clearTimeout: time.clearTimeout,
    random: () => 1,
  };
}
