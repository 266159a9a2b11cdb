"""Orders as OKX's REST takes them: parameters, filters, refusals. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from feeds.simulator import filters
from feeds.simulator.accounts import Account
from feeds.simulator.okx import rows
from feeds.simulator.okx.frames import Quoted
from feeds.simulator.okx.terms import refusal
from feeds.simulator.orders import Hold, OwnOrder, Rejected

_CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_IN_FORCE = {"limit": "GTC", "post_only": "GTX", "ioc": "IOC", "fok": "FOK", "market": "GTC"}

Body = Mapping[str, Any]


class Refused(Exception):
    """One order is refused: ``code`` and text are the row's ``sCode`` and ``sMsg``."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def wrong(name: str) -> Refused:
    return Refused("51000", f"Parameter {name} error")


def place(account: Account, quoted: Mapping[str, Quoted], body: Body) -> OwnOrder:
    market = _market(quoted, body)
    side, kind, mode = (_one_of(body, *row) for row in _CHOICES)
    client_id = str(body.get("clOrdId") or "")
    if client_id and not _CLIENT_ID.fullmatch(client_id):
        raise wrong("clOrdId")
    if (mode == "cash") is market.swap:
        raise wrong("tdMode")
    hold = _hold(account, market, body) if market.swap else None
    desk, live, buy = account.desk_of(market.market), market.market, side == "buy"
    amount = _decimal(body, "sz")
    quote_size = Decimal(0)
    try:
        price = None if kind == "market" else filters.ticks(live, _decimal(body, "px"))
        by_value = kind == "market" and not market.swap
        by_value &= str(body.get("tgtCcy") or ("quote_ccy" if buy else "base_ccy")) == "quote_ccy"
        if by_value:
            quote_size, size = amount, filters.affordable(live, buy, amount)
        else:
            size = filters.lots(live, amount * market.contract)
        return desk.place(
            live,
            buy=buy,
            size=size,
            price=price,
            type="MARKET" if kind == "market" else "LIMIT",
            time_in_force=_IN_FORCE[kind],
            client_id=client_id,
            reduce_only=body.get("reduceOnly") in (True, "true"),
            quote_size=quote_size,
            hold=hold,
        )
    except Rejected as error:
        i = live.instrument
        raise Refused(*refusal(error, i.settle or (i.quote if buy else i.base))) from error


def _hold(account: Account, market: Quoted, body: Body) -> Hold:
    """The position that the order is about. A swap's margin mode is that of its last order here: positions of both
    modes side by side, as OKX has them, are not simulated."""
    desk, live = account.desk_of(market.market), market.market
    hold = rows.HOLDS.get(str(body.get("posSide") or "net"))
    if hold is None or (hold == "both") is desk.futures.mode_of(live).hedged:
        raise wrong("posSide")
    isolated = body.get("tdMode") == "isolated"
    if isolated is not desk.futures.mode_of(live).isolated:
        try:
            desk.switch(live, isolated=isolated)
        except Rejected:
            raise wrong("tdMode") from None
    return hold


_CHOICES = (
    ("side", ("buy", "sell")),
    ("ordType", tuple(_IN_FORCE)),
    ("tdMode", ("cash", "cross", "isolated")),
)


def cancel(account: Account, quoted: Mapping[str, Quoted], body: Body) -> OwnOrder:
    own = find(account, quoted, body)
    try:
        if own is None:
            raise Rejected("unknown_order", "There is no such order.")
        account.desk_of(own.market).cancel(own)
    except Rejected as error:
        raise Refused(*refusal(error, "")) from error
    return own


def find(account: Account, quoted: Mapping[str, Quoted], body: Body) -> OwnOrder | None:
    """By ``ordId`` or ``clOrdId``, in the market of ``instId``."""
    market = _market(quoted, body).market
    order_id, client_id = str(body.get("ordId") or ""), str(body.get("clOrdId") or "")
    if not order_id and not client_id:
        raise Refused("50014", "Parameter ordId or clOrdId can not be empty.")
    if order_id and not (order_id.isascii() and order_id.isdigit() and len(order_id) < 30):
        raise wrong("ordId")
    return account.desk_of(market).find(market, int(order_id) if order_id else None, client_id or None)


def _market(quoted: Mapping[str, Quoted], body: Body) -> Quoted:
    name = str(body.get("instId") or "")
    if not name:
        raise Refused("50014", "Parameter instId can not be empty.")
    if name not in quoted:
        raise Refused("51001", "Instrument ID doesn't exist.")
    return quoted[name]


def _one_of(body: Body, name: str, choices: tuple[str, ...]) -> str:
    value = body.get(name)
    if value not in choices:
        raise wrong(name) if value else Refused("50014", f"Parameter {name} can not be empty.")
    return str(value)


def _decimal(body: Body, name: str) -> Decimal:
    """Numbers are text."""
    try:
        value = Decimal(str(body.get(name)))
    except InvalidOperation:
        raise wrong(name) from None
    if not value.is_finite():
        raise wrong(name)
    return value
