"""What the database holds of accounts, as docs/protocol.md shows it: the REST answers and the account frames alike.

Numbers are text. An age is counted at the moment of the answer, by the exchange's clock as the worker estimates it.
"""

import time
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from typing import Any

import msgspec
from django.conf import settings
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from dashboard.fields import canonical
from dashboard.models import AccountRow, Balance, ExchangeAccount, Fill, MarketRow, Order, Position, WorkerReport
from dashboard.models_accounts import AccountNotice, AccountShare, Transfer
from feeds.account_facts import dead_man_s, facts_of, wallets
from feeds.worth.portfolio import quote_of
from feeds.worth.risk import liquidation_distance

SILENT_S = 5.0
"""A worker that has not reported for this long is taken for dead: everything of it is STALE."""

Row = dict[str, Any]

_EXACT = Context(prec=100)


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When an answer is made, and what is known of the clocks and of the worker then.

    ``offsets_ms`` is each exchange's clock minus ours; ``silent_s`` how long the worker has been silent, None if it
    reports as it should.
    """

    now_ns: int
    offsets_ms: Mapping[str, float] = {}
    silent_s: float | None = None

    @classmethod
    def of(cls, report: WorkerReport | None) -> "Moment":
        """The moment of a web process, which knows the worker by its report (None: it has never reported)."""
        now_ns = time.time_ns()
        if report is None:
            return cls(now_ns=now_ns, silent_s=float("inf"))
        silent_s = (now_ns - report.recv_ns) / 1e9
        offsets = {name: float(ms) for name, ms in report.body.get("clock_offsets_ms", {}).items() if ms is not None}
        return cls(now_ns=now_ns, offsets_ms=offsets, silent_s=silent_s if silent_s > SILENT_S else None)

    def age_ms(self, exchange: str, exchange_ms: int) -> int:
        """Age of something that happened at ``exchange_ms``; never negative, whatever the clocks say."""
        return max(0, round(self.now_ns / 1e6 + self.offsets_ms.get(exchange, 0.0)) - exchange_ms)

    def age_here_ms(self, recv_ns: int) -> int:
        return max(0, (self.now_ns - recv_ns) // 1_000_000)

    def state(self, account: ExchangeAccount) -> tuple[str, str]:
        """State and sentence of an account: whatever the worker wrote last is old news once it is silent."""
        if self.silent_s is None:
            return account.state, account.sentence
        if self.silent_s == float("inf"):
            return "DOWN", "The worker has not reported yet."
        return "STALE", f"The worker has been silent for {self.silent_s:.0f} s."


def account_row(account: ExchangeAccount, moment: Moment, role: str, simulated: bool) -> Row:
    """``role`` is the user's: what only concerns owners is not told to viewers."""
    state, sentence = moment.state(account)
    owner = role == AccountShare.Role.OWNER
    return {
        "id": account.pk,
        "exchange": account.exchange,
        "label": account.label,
        "role": role,
        "owner": account.owner.get_username(),
        "fingerprint": account.fingerprint if owner else None,
        "products": account.products,
        "wallets": wallets(account.exchange, account.products),
        "source": account.source,
        "poll_s": account.poll_s,
        "trading": account.trading,
        "only_here": account.only_here,
        "cancel_on_stop": account.cancel_on_stop,
        "dead_man_s": dead_man_s(account.exchange, account.dead_man_s),
        "dead_man": facts_of(account.exchange).dead_man,
        "rights": {**account.rights, "sentence": rights_sentence(account)} if owner and account.rights else None,
        "state": state,
        "sentence": sentence,
        "age_ms": moment.age_here_ms(account.state_recv_ns) if account.state_recv_ns else None,
        "simulated": simulated,
    }


def rights_sentence(account: ExchangeAccount) -> str:
    """What a person must see to, because the exchange does not say whether the key may withdraw; "" if it does."""
    name = account.exchange.capitalize()
    if not account.rights.get("told"):
        return f"{name} cannot be asked what this key may do: make sure yourself that it may not withdraw."
    if account.rights.get("withdraw") is None:
        return f"{name} does not say whether this key may withdraw: make sure yourself that it may not."
    return ""


def account_head(account: ExchangeAccount, moment: Moment) -> Row:
    """How well an account is followed, as its frames tell it beside their rows."""
    state, sentence = moment.state(account)
    return {
        "id": account.pk,
        "exchange": account.exchange,
        "label": account.label,
        "wallets": wallets(account.exchange, account.products),
        "state": state,
        "sentence": sentence,
    }


def balance_rows(balances: Iterable[Balance], moment: Moment) -> list[Row]:
    return [
        _head(row)
        | {
            "asset": row.asset,
            "total": canonical(row.total),
            "free": _text(row.free),
            "locked": _text(row.locked),
            "asof_ms": row.asof_ms,
            "recv_us": row.recv_ns // 1000,
            "age_ms": moment.age_ms(row.account.exchange, row.asof_ms),
            "state": moment.state(row.account)[0],
        }
        for row in balances
    ]


def position_rows(positions: Iterable[Position], moment: Moment) -> list[Row]:
    """Open positions, with the mark and the unrealised profit that the exchange told with them."""
    return [_position(row, moment) for row in positions]


def _position(row: Position, moment: Moment) -> Row:
    age_ms = moment.age_ms(row.account.exchange, row.asof_ms)
    return _head(row) | {
        "symbol": row.symbol,
        "side": row.side,
        "apart": row.apart,
        "size": canonical(row.size),
        "entry": canonical(row.entry),
        "mark": _text(row.mark),
        "mark_age_ms": age_ms if row.mark is not None else None,
        "unrealised": _text(row.unrealised),
        "unrealised_asset": row.settle or quote_of(row.symbol) or None,
        "unrealised_ratio": _ratio(row),
        "liquidation": _text(row.liquidation),
        "liquidation_distance": liquidation_distance(row.size, row.mark, row.liquidation),
        "leverage": _text(row.leverage),
        "margin": _text(row.margin),
        "margin_mode": row.margin_mode or None,
        "settle": row.settle or None,
        "asof_ms": row.asof_ms,
        "recv_us": row.recv_ns // 1000,
        "age_ms": age_ms,
        "state": moment.state(row.account)[0],
    }


def _ratio(row: Position) -> str | None:
    """Unrealised profit by the position's value at its entry price, to a millionth; None if they are in two assets."""
    if row.settle and row.settle != quote_of(row.symbol):
        return None
    at_entry = abs(row.size) * row.entry
    return f"{row.unrealised / at_entry:.6f}" if row.unrealised is not None and at_entry else None


def order_rows(orders: Iterable[Order], moment: Moment) -> list[Row]:
    return [
        {"row": row.pk}
        | _head(row)
        | {
            "symbol": row.symbol,
            "id": row.order_id,
            "client_id": row.client_id or None,
            "side": row.side,
            "type": row.type,
            "price": _text(row.price),
            "size": canonical(row.size),
            "filled": canonical(row.filled),
            "average": _text(row.average),
            "status": row.status,
            "reduce_only": row.reduce_only,
            "time_in_force": row.time_in_force or None,
            "created_ms": row.created_ms,
            "updated_ms": row.updated_ms,
            "age_ms": moment.age_ms(row.account.exchange, row.asof_ms),
            "state": moment.state(row.account)[0],
        }
        for row in orders
    ]


def fill_rows(fills: Iterable[Fill], moment: Moment) -> list[Row]:
    return [
        {"row": row.pk}
        | _head(row)
        | {
            "symbol": row.symbol,
            "id": row.fill_id,
            "order_id": row.order_id,
            "client_id": row.client_id or None,
            "side": row.side,
            "position_side": row.position_side or None,
            "margin": row.margin,
            "price": canonical(row.price),
            "size": canonical(row.size),
            "notional": canonical(_EXACT.multiply(row.price, row.size)),
            "fee": _text(row.fee),
            "fee_asset": row.fee_asset or None,
            "maker": row.maker,
            "realised": _text(row.realised),
            "exchange_ms": row.exchange_ms,
            "recv_us": row.recv_ns // 1000,
            "age_ms": moment.age_ms(row.account.exchange, row.exchange_ms),
        }
        for row in fills
    ]


def transfer_rows(transfers: Iterable[Transfer], moment: Moment) -> list[Row]:
    return [
        {"row": row.pk}
        | _head(row)  # type: ignore[arg-type]  # the same columns
        | {
            "id": row.transfer_id,
            "kind": row.kind,
            "asset": row.asset,
            "amount": canonical(row.amount),
            "fee": _text(row.fee),
            "symbol": row.symbol or None,
            "note": row.note,
            "status": row.status,
            "exchange_ms": row.exchange_ms,
            "recv_us": row.recv_ns // 1000,
            "age_ms": moment.age_ms(row.account.exchange, row.exchange_ms),
        }
        for row in transfers
    ]


def notice_rows(notices: Iterable[AccountNotice], moment: Moment) -> list[Row]:
    return [
        {
            "row": row.pk,
            "account": row.account.pk,
            "exchange": row.account.exchange,
            "label": row.account.label,
            "kind": row.kind,
            "sentence": row.sentence,
            "expected": row.expected,
            "found": row.found,
            "count": row.count,
            "asof_ms": row.asof_ms,
            "opened_ms": row.opened_ns // 1_000_000,
            "changed_ms": row.changed_ns // 1_000_000,
            "resolved_ms": None if row.resolved_ns is None else row.resolved_ns // 1_000_000,
            "resolution": row.resolution,
            "open": row.resolved_ns is None,
            "age_ms": moment.age_here_ms(row.opened_ns),
        }
        for row in notices
    ]


def fills_page(rows: list[Row], *, more: bool) -> Row:
    """A page of fill rows with the smallest and the largest row number in it."""
    numbers = [row["row"] for row in rows]
    return {
        "fills": rows,
        "first_row": min(numbers, default=None),
        "last_row": max(numbers, default=None),
        "more": more,
    }


_MARKET = ("exchange", "symbol", "native", "product", "base", "quote", "settle")
_MARKET_NUMBERS = ("tick", "lot", "min_size", "min_notional")
_MARKET_REST = ("status", "pinned", "simulated", "via")


def market_rows(found: QuerySet[MarketRow]) -> list[Row]:
    """Instruments. There are thousands: their numbers, canonical text at rest, are passed on as they are."""
    names = (*_MARKET, *_MARKET_NUMBERS, *_MARKET_REST)
    numbers = [Cast(name, TextField()) for name in _MARKET_NUMBERS]
    values = found.values_list(*_MARKET, *numbers, *_MARKET_REST)
    listed = [dict(zip(names, row, strict=True)) for row in values]
    for row in listed:
        row["settle"] = row["settle"] or None
        row["replay"] = settings.SPREADBOARD_REPLAY is not None
    return listed


def first_pinned(listed: Iterable[Row], report: WorkerReport | None) -> str | None:
    """The first of the markets that the configuration pins, in its order, that is among these: "binance:BTC/USDT"."""
    known = {f"{row['exchange']}:{row['symbol']}" for row in listed}
    pinned = [] if report is None else report.body.get("pinned", [])
    return next((key for key in pinned if key in known), None)


def _head(row: AccountRow) -> Row:
    account = row.account
    return {
        "account": account.pk,
        "exchange": account.exchange,
        "label": account.label,
        "product": row.product,
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)
