"""Which of Binance's products a frame is of: a recording need not say. The facts are in ``binance.py``."""

import re

from msgspec import Raw, Struct, json

from feeds.exchanges.binance_messages import COIN_M, MALFORMED


class Telling(Struct):
    """What differs in payloads that are alike: ``pu`` of books, ``M`` of prints, and a type of best prices."""

    data: Raw = Raw()
    e: str = ""
    s: str = ""
    u: int | None = None
    pu: int | None = None
    M: bool | None = None
    lastUpdateId: int | None = None
    st: int = 1


_COIN_M_NAME = re.compile(r"[A-Z0-9]+USD_(PERP|[0-9]{6})")
_decode = json.Decoder(Telling).decode


def product_in(frame: bytes) -> str | None:
    """None: of any, or of one that is none of ours."""
    try:
        told = _decode(frame)
        if bytes(told.data):
            told = _decode(told.data)
    except MALFORMED:
        return None
    if told.st == COIN_M or _COIN_M_NAME.fullmatch(told.s):
        return None
    match told.e:
        case "depthUpdate":
            return "spot" if told.pu is None else "usdm"
        case "aggTrade":
            return "usdm" if told.M is None else "spot"
        case "bookTicker" | "markPriceUpdate":
            return "usdm"
        case "":
            return "spot" if told.lastUpdateId is not None or (told.s and told.u is not None) else None
    return None
