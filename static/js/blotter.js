/** The blotter: every fill, order and transfer (funding and interest too) that is stored, over the whole width, times in the user's zone. */

import {
  feeCell,
  isSimulated,
  marketCell,
  priceText,
  realisedCell,
  roleCell,
  sideCell,
  sizeText,
} from "./account-cells.js";
import * as decimal from "./decimal.js";
import * as format from "./format.js";
import { exchangeName } from "./instruments.js";
import { PagedSheet } from "./paged-sheet.js";
import * as zones from "./zone-time.js";

/** @param elements {fills, orders, transfers} of the template */
export function blotter(app, elements) {
  return [
    new PagedSheet(app, elements.fills, {
      kind: "fills",
      label: "all fills",
      path: "/api/fills/",
      query: {},
      filters: ["account", "symbol", "side", "time", "sort", "csv"],
      columns: fillColumns,
      nothing: "No fills",
    }),
    new PagedSheet(app, elements.orders, {
      kind: "orders",
      label: "order history",
      path: "/api/orders/",
      query: { history: 1 },
      filters: ["account", "symbol"],
      columns: orderColumns,
      nothing: "No orders",
    }),
    new PagedSheet(app, elements.transfers, {
      kind: "transfers",
      label: "transfers",
      path: "/api/transfers/",
      query: {},
      filters: ["account", "kind"],
      columns: transferColumns,
      nothing: "No transfers, funding or interest",
      className: ({ row }) => (row.status === "failed" ? "stale" : ""),
    }),
  ];
}

function fillColumns(app) {
  return [
    time(app, "Time", (row) => row.exchange_ms, { fraction: true }),
    market(app),
    { id: "side", label: "Side", cell: ({ row }) => sideCell(row.side) },
    { id: "price", label: "Price", num: true, cell: ({ row, account }) => priceText(app, row, account, row.price) },
    { id: "size", label: "Size", num: true, cell: ({ row, account }) => sizeText(app, row, account, row.size) },
    { id: "notional", label: "Value", num: true, cell: ({ row }) => format.plain(row.notional, 2) },
    { id: "fee", label: "Fee", num: true, cell: ({ row }) => feeCell(row) },
    { id: "realised", label: "Realised", num: true, cell: ({ row }) => realisedCell(row) },
    { id: "maker", label: "Role", wide: true, cell: ({ row }) => roleCell(row) },
    { id: "number", label: "Order", wide: true, cell: ({ row }) => numbers(row.order_id, `Fill ${row.id}`) },
  ];
}

function orderColumns(app) {
  return [
    time(app, "Last change", (row) => row.updated_ms),
    market(app),
    { id: "side", label: "Side", cell: ({ row }) => sideCell(row.side) },
    {
      id: "type",
      label: "Type",
      cell: ({ row }) => ({
        text: (row.type ?? format.NONE).replaceAll("_", " "),
        sub: [row.time_in_force, row.reduce_only ? "reduce only" : ""].filter(Boolean).join(" · "),
      }),
    },
    { id: "price", label: "Price", num: true, cell: ({ row, account }) => priceText(app, row, account, row.price) },
    { id: "size", label: "Size", num: true, cell: ({ row, account }) => sizeText(app, row, account, row.size) },
    { id: "filled", label: "Filled", num: true, cell: ({ row, account }) => sizeText(app, row, account, row.filled) },
    { id: "average", label: "Average", num: true, cell: ({ row, account }) => priceText(app, row, account, row.average) },
    { id: "status", label: "Status", cell: ({ row }) => statusCell(row.status) },
    { id: "created", label: "Created", wide: true, cell: ({ row }) => timeCell(app, row.created_ms) },
    { id: "number", label: "Order", wide: true, cell: ({ row }) => numbers(row.id, row.client_id) },
  ];
}

const KINDS = {
  deposit: "Deposit",
  withdrawal: "Withdrawal",
  internal: "Internal",
  fee: "Fee",
  funding: "Funding",
  interest: "Interest",
  income: "Income",
  other: "Other",
};

function transferColumns(app) {
  return [
    time(app, "Time", (row) => row.exchange_ms),
    {
      id: "account",
      label: "Account",
      cell: ({ row, account }) => ({
        text: row.label,
        class: "strong",
        sub: exchangeName(row.exchange),
        tags: isSimulated(app, account) ? [{ text: "SIM", class: "tag-sim", title: "Simulated: no real money" }] : [],
      }),
    },
    {
      id: "kind",
      label: "Kind",
      cell: ({ row }) => ({
        text: KINDS[row.kind] ?? row.kind,
        sub: [row.product, row.symbol, row.note].filter(Boolean).join(" · "),
      }),
    },
    {
      id: "amount",
      label: "Amount",
      num: true,
      cell: ({ row }) => ({
        text: `${format.fixed(decimal.normalize(decimal.parse(row.amount)), undefined, { plus: true })} ${row.asset}`,
        class: row.status === "failed" ? "dim" : "",
      }),
    },
    { id: "fee", label: "Fee", num: true, cell: ({ row }) => transferFee(row) },
    { id: "status", label: "Status", cell: ({ row }) => statusCell(row.status) },
    { id: "number", label: "Number", wide: true, cell: ({ row }) => numbers(row.id) },
  ];
}

/** Only what comes from outside or goes there may cost one that is not told; the others are what they are. */
function transferFee({ fee, kind, asset }) {
  if (fee === null && !["deposit", "withdrawal"].includes(kind)) return { text: format.NONE, class: "dim" };
  return feeCell({ fee, fee_asset: asset });
}

function market(app) {
  return { id: "market", label: "Market", cell: ({ row, account }) => marketCell(app, row, account, null) };
}

function time(app, label, of, options) {
  return { id: "time", label, cell: ({ row }) => timeCell(app, of(row), options) };
}

/** The time by the user's clocks; UTC on hover. */
function timeCell(app, ms, options) {
  if (!Number.isFinite(ms)) return { text: format.NONE, class: "dim" };
  return { text: zones.dateTime(ms, app.settings.zone, options), class: "num", title: `${format.dateTime(ms)} UTC` };
}

function statusCell(status) {
  const tones = { open: "running", partial: "running", pending: "warn", failed: "bad", rejected: "bad" };
  return { text: status ?? format.NONE, class: tones[status] ?? "dim" };
}

/** The exchange's number, cut in the middle where it is long; whole on hover. */
function numbers(id, more = null) {
  const text = id ?? format.NONE;
  return {
    text: text.length > 18 ? `${text.slice(0, 8)}…${text.slice(-8)}` : text,
    class: "dim num",
    title: [text, more].filter(Boolean).join(" · "),
  };
}
