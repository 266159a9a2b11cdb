/** The trading page: makes the parts, gives them to each other, starts them. */

import * as api from "./api.js";
import { Accounts } from "./account-feed.js";
import { AcrossChoice } from "./across-choice.js";
import { AcrossLadder } from "./across-ladder.js";
import { Balances } from "./balances.js";
import { blotter } from "./blotter.js";
import { BookSwitch } from "./book-switch.js";
import { CancelBar } from "./cancel-bar.js";
import { Cancelling } from "./cancelling.js";
import { Chart } from "./chart.js";
import { ConfirmDialog } from "./confirm-dialog.js";
import { Delays } from "./delays.js";
import { byId } from "./dom.js";
import { Equity } from "./equity.js";
import { Events } from "./events.js";
import { ExchangeBoard } from "./exchange-board.js";
import { Fees } from "./fees.js";
import { FillAlerts } from "./fill-alerts.js";
import { Fills } from "./fills.js";
import { Instruments } from "./instruments.js";
import { Keys } from "./keys.js";
import { Ladder } from "./ladder.js";
import { Layout } from "./layout.js";
import { LinkLight } from "./link-light.js";
import { MarketStrip } from "./market.js";
import { Matrix } from "./matrix.js";
import { startMenu } from "./menu.js";
import { Notices } from "./notices.js";
import { Orders } from "./orders.js";
import { PairBooks } from "./pair-books.js";
import { Palette } from "./palette.js";
import { Portfolio } from "./portfolio.js";
import { Positions } from "./positions.js";
import { Prefs, browserStorage } from "./prefs.js";
import * as scheduling from "./scheduler.js";
import { Selection } from "./selection.js";
import { SettingsDialog } from "./settings-dialog.js";
import { Settings } from "./settings.js";
import { SleepGuard } from "./sleep.js";
import { Socket, browserEnvironment } from "./socket.js";
import { Store } from "./store.js";
import { Streams } from "./streams.js";
import { Counts, Summary } from "./summary.js";
import { Tape } from "./tape.js";
import { Theme } from "./theme.js";
import { Ticket } from "./ticket.js";
import { Toast } from "./toast.js";
import { Watchlist } from "./watchlist.js";

const environment = browserEnvironment();
const app = { prefs: new Prefs(browserStorage()), delays: new Delays() };

/** The server's clock in us, null while it is not known. */
app.serverUs = () => (app.socket.offset.known ? environment.clockUs() + app.socket.offset.us : null);
/** The recording's own time in a replay, null where there is none. */
app.replayMs = () => app.store.data("streams")?.replay?.at_ms ?? null;
/** The best guess of the time, in ms. */
app.nowMs = () => (app.serverUs() ?? environment.clockUs()) / 1000;
/** How long ago a topic's frame came, in ms: what an age in it has grown by since. */
app.laterMs = (topic) => (Number.isFinite(app.store.sinceArrival(topic)) ? app.store.sinceArrival(topic) : 0);

const address = new URL("/ws/", location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
app.socket = new Socket(address.href, { linkChanged, hello, bundle, topicRefused }, environment);
app.store = new Store(app.socket, environment.now);
app.scheduler = new scheduling.Scheduler(scheduling.browserEnvironment());
app.scheduler.beforeDraw = () => app.socket.mark;
app.scheduler.painted = (mark) => app.socket.painted(mark);

app.theme = new Theme(app.prefs);
app.instruments = new Instruments(api.get);
app.selection = new Selection(app.prefs, app.instruments);
app.accounts = new Accounts(api.get);
const csrf = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
app.settings = new Settings(api.get, (path, body) => api.change("PUT", path, csrf(), body));
const toast = new Toast(byId("toast"));
app.toast = (text, ms) => toast.show(text, ms);
const question = new ConfirmDialog(byId("question"));
app.cancelling = new Cancelling(app, csrf, (...asked) => question.ask(...asked));
app.alerts = new FillAlerts(app);
app.counts = new Counts(byId("tabs"));
app.orders = new Orders(app, byId("orders"));
app.positions = new Positions(app, byId("positions"));
app.summary = new Summary(byId("summary"), () => app.positions.unrealised());
app.watchlist = new Watchlist(app, byId("watchlist-rows"), byId("watchlist-filter"));
app.chart = new Chart(app, {
  canvas: byId("chart-canvas"),
  legend: byId("chart-legend"),
  note: byId("chart-note"),
  intervals: byId("intervals"),
  state: byId("chart-state"),
  body: byId("chart"),
});
app.ticket = new Ticket(
  app,
  { element: byId("ticket"), head: byId("ticket-head"), body: byId("ticket-body"), dialog: byId("order-dialog") },
  csrf,
);
app.ladder = new Ladder(app, {
  body: byId("ladder-body"),
  tools: byId("ladder-tools"),
  columns: byId("ladder-columns"),
  foot: byId("ladder-foot"),
  state: byId("ladder-state"),
  paused: byId("ladder-paused"),
});
app.acrossLadder = new AcrossLadder(app, {
  chips: byId("across-chips"),
  body: byId("across-body"),
  tools: byId("across-tools"),
  columns: byId("across-columns"),
  foot: byId("across-foot"),
  state: byId("across-state"),
  paused: byId("across-paused"),
});
app.layout = new Layout(app.prefs, {
  tabs: byId("tabs"),
  acrossTabs: byId("across-tabs"),
  portfolioTabs: byId("portfolio-tabs"),
  phoneTabs: byId("phone-tabs"),
  views: byId("views"),
});
app.book = new BookSwitch(app, {
  place: byId("book-switch"),
  one: byId("book-one"),
  all: byId("book-all"),
  oneState: byId("book-one-state"),
  allState: byId("book-all-state"),
});
app.choice = new AcrossChoice(app);
app.matrix = new Matrix(app, { body: byId("matrix-body"), tools: byId("matrix-tools"), state: byId("matrix-state") });
const pairBooks = new PairBooks(app, { body: byId("pair-body"), tools: byId("pair-tools"), state: byId("pair-state") });
app.portfolio = new Portfolio(app, {
  head: byId("worth"),
  body: byId("overview"),
  accounts: byId("worth-accounts"),
  assets: byId("worth-assets"),
  holdings: byId("worth-holdings"),
  exposure: byId("worth-exposure"),
});
const equity = new Equity(app, {
  body: byId("equity"),
  canvas: byId("equity-canvas"),
  legend: byId("equity-legend"),
  note: byId("equity-note"),
  ranges: byId("equity-ranges"),
  account: byId("equity-account"),
  state: byId("equity-state"),
});
app.notices = new Notices(app, byId("notices"), byId("notices-chip"), [...document.querySelectorAll(".notices-count")]);
const settingsDialog = new SettingsDialog(app.settings);
app.palette = new Palette(app, byId("palette"));
const keys = new Keys(app, byId("help"));
const light = new LinkLight(app, {
  link: byId("link"),
  state: byId("link-state"),
  age: byId("link-age"),
  latency: byId("link-latency"),
  clock: byId("clock"),
  announcer: byId("announcer"),
  simulated: byId("simulated"),
  replay: byId("replay"),
});

function linkChanged(link) {
  app.store?.linkChanged(link);
  app.scheduler?.invalidate(light);
  if (link.code === 4401) api.signIn();
  // A handshake that is refused looks like a server that is away; the API tells them apart.
  if (link.state === "waiting" && link.failures % 3 === 2) app.instruments.load();
}

function hello(message) {
  app.delays.reset();
  app.store.simulated = new Set(message.simulated);
  app.store.replay = Boolean(message.replay);
  app.alerts.user(message.user ?? null);
  app.store.connected();
  app.portfolio.greeted(message.user);
}

function bundle(frames) {
  const now = app.serverUs();
  app.store.apply(frames, (frame, first) => {
    if (!first && now !== null && Number.isFinite(frame.sent_us)) app.delays.add(frame, now);
  });
  app.scheduler.request(); // even where nothing was dirty: what came must be confirmed
}

function topicRefused(topic, message) {
  app.store.refuse(topic, message);
}

byId("open-palette").addEventListener("click", () => app.palette.open());
byId("open-help").addEventListener("click", () => keys.open());
byId("open-settings").addEventListener("click", () => settingsDialog.open());
app.instruments.addEventListener("signedout", () => api.signIn());
startMenu(app.prefs, app.theme);
app.theme.start();
for (const part of [
  app.layout,
  app.watchlist,
  new MarketStrip(app, byId("market")),
  app.ladder,
  app.acrossLadder,
  app.book,
  app.choice,
  app.matrix,
  pairBooks,
  new Events(app, byId("arbitrage"), [...document.querySelectorAll(".events-count")]),
  new ExchangeBoard(app, byId("exchanges"), byId("exchanges-count")),
  new Fees(app, byId("fees"), csrf),
  new Tape(app, byId("tape-body"), byId("tape-state")),
  app.chart,
  app.ticket,
  question,
  app.positions,
  new CancelBar(app, byId("orders")),
  app.orders,
  app.alerts,
  new Fills(app, byId("fills")),
  new Balances(app, byId("balances")),
  app.portfolio,
  equity,
  ...blotter(app, { fills: byId("all-fills"), orders: byId("all-orders"), transfers: byId("transfers") }),
  app.notices,
  settingsDialog,
  new Streams(app, byId("streams-body"), byId("streams-worker")),
  light,
  app.palette,
  keys,
  app.accounts,
  app.settings,
  app.instruments,
  app.selection,
  app.scheduler,
  new SleepGuard(app.socket),
]) {
  part.start();
}
app.socket.start();
