"""What Kraken calls assets and pairs in its REST answers, and their unified names.

Facts (docs.kraken.com, api-reference: Assets, AssetPairs, balances):

* Bitcoin is XBT, Dogecoin XDG. The oldest assets have codes of four letters, with X (coins) or Z (money) in front:
  ``XXBT``, ``ZUSD``. That list is closed; an X or Z in front of any other code belongs to it (``ZRX``, ``XTZ``).
* A pair goes by ``XXBTZUSD`` (the key of AssetPairs), ``XBTUSD`` (altname) or ``XBT/USD`` (wsname); which of them
  stands in an answer depends on the call.
* Balances are told by code and *place*: ``ETH2.S`` staked, ``USD.M`` rewards, ``EUR.B`` yield, ``XBT.F`` Kraken
  Rewards. The WebSocket tells the same as wallets of the one asset. ``.T`` is another thing: a tokenised security.
"""

from collections.abc import Iterator

from feeds.accounts.kraken.wire import PRODUCT
from feeds.domain import Market
from feeds.exchange import MarketIndex

OLD = {
    code[1:]: code
    for code in (
        *("XETC", "XETH", "XLTC", "XMLN", "XREP", "XXBT", "XXDG", "XXLM", "XXMR", "XXRP", "XZEC", "XICN", "XNMC"),
        *("ZAUD", "ZCAD", "ZEUR", "ZGBP", "ZJPY", "ZKRW", "ZUSD"),
    )
}
"""Altname -> code of those that have one of four letters."""

_OURS = {"XBT": "BTC", "XDG": "DOGE"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
_ALTNAMES = {code: altname for altname, code in OLD.items()}

EARNING = frozenset({"S", "M", "B", "F"})
"""Places of an asset that earn something."""


def asset_of(code: str) -> tuple[str, bool]:
    """The unified asset of a balance's code, and whether it is in the spot wallet itself: ``XBT.F`` -> BTC, False."""
    name, _, place = code.partition(".")
    if place and place not in EARNING:
        return code, True
    altname = _ALTNAMES.get(name, name)
    return _OURS.get(altname, altname), not place


def rest_name(market: Market) -> str:
    """The pair's altname: ``BTC/USD`` -> ``XBTUSD``."""
    return "".join(_THEIRS.get(part, part) for part in (market.base, market.quote))


def _names(market: Market) -> Iterator[str]:
    """All names that REST may use, the altname first."""
    base, quote = (_THEIRS.get(part, part) for part in (market.base, market.quote))
    yield base + quote
    yield f"{base}/{quote}"
    yield market.native
    for first in (OLD.get(base, base), base):
        for second in (OLD.get(quote, quote), quote):
            yield first + second


class Pairs:
    """The markets by the names of REST. The instrument list may grow at any time."""

    def __init__(self, markets: MarketIndex) -> None:
        self._markets = markets
        self._known: dict[str, Market] = {}
        self._size = -1

    def market(self, name: str) -> Market | None:
        """None if the list has no such market."""
        if len(self._markets) != self._size:
            self._size = len(self._markets)
            self._known = {}
            listed = [market for market in self._markets if market.product == PRODUCT]
            for market in listed:  # where an old name of one is the present one of another, the latter holds
                self._known[rest_name(market)] = market
            for market in listed:
                for each in _names(market):
                    self._known.setdefault(each, market)
        return self._known.get(name)

    def symbol(self, name: str) -> str:
        """As it is shown; a pair that is not listed keeps Kraken's name, and the product."""
        market = self.market(name)
        return market.symbol if market is not None else f"{name}@{PRODUCT}"
