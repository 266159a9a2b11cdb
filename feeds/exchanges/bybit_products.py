"""Which of Bybit's products a frame is of: a recording need not say. The facts are in ``bybit.py``."""

import re

from msgspec import Raw, Struct, json

from feeds.exchanges.bybit_messages import MALFORMED


class Envelope(Struct):
    topic: str = ""
    type: str = ""
    data: Raw = Raw()
    op: str = ""
    success: bool = False
    ret_msg: str | None = None


class TickerTelling(Struct):
    """Only contracts have a mark price, a tick direction and open interest; only spot an index in dollars."""

    usdIndexPrice: str | None = None
    markPrice: str | None = None
    tickDirection: str | None = None
    openInterest: str | None = None
    bid1Price: str | None = None
    ask1Price: str | None = None


class TradeTelling(Struct):
    """Only prints of contracts have a direction."""

    L: str | None = None


_INVERSE = re.compile(r"[A-Z0-9]+USD([FGHJKMNQUVXZ][0-9]{2})?")
_decode_envelope = json.Decoder(Envelope).decode
_decode_ticker = json.Decoder(TickerTelling).decode
_decode_trades = json.Decoder(list[TradeTelling]).decode


def product_in(frame: bytes) -> str | None:
    """None: of any (books are alike), or of one that is none of ours (inverse contracts)."""
    try:
        return _told(_decode_envelope(frame))
    except MALFORMED:
        return None


def _told(envelope: Envelope) -> str | None:
    kind, _, rest = envelope.topic.partition(".")
    native = rest.rpartition(".")[2]
    if not kind:
        return "spot" if envelope.op == envelope.ret_msg == "subscribe" and envelope.success else None
    if _INVERSE.fullmatch(native):
        return None
    if native.endswith("PERP") or "-" in native:
        return "linear" if native.count("-") < 2 else None  # names of options have three
    if kind == "tickers":
        told = _decode_ticker(envelope.data)
        contract = (told.markPrice, told.tickDirection, told.openInterest, told.bid1Price, told.ask1Price)
        if any(each is not None for each in contract):
            return "linear"
        return "spot" if told.usdIndexPrice is not None else None
    if kind == "publicTrade":
        trades = _decode_trades(envelope.data)
        return None if not trades else "spot" if trades[0].L is None else "linear"
    return None
