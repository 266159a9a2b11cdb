"""The part of spreadboard.toml about what several exchanges show together: ties, fees, what is always judged."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from feeds.across.arbitrage import HIGHEST_BPS, LONGEST_S, LOWEST_BPS, Threshold
from feeds.across.fees import Fee, read_bps
from feeds.across.legs import Ties
from feeds.errors import ConfigError
from feeds.settings_table import Table, shown
from feeds.topics import MATRIX, parse_topic

ACROSS_KEYS = ("ties", "par", "watch", "threshold_bps", "duration_s", "oldest_s")
FEE_KEYS = ("maker_bps", "taker_bps")


class AcrossConfig(msgspec.Struct, frozen=True, kw_only=True):
    """``watch`` are the matrix topics that are always open; ``fees`` by exchange and product."""

    ties: Ties = Ties()
    watch: tuple[str, ...] = ()
    threshold: Threshold = Threshold()
    fees: Mapping[tuple[str, str], Fee] = {}


def across_config(root: Table, products: Mapping[str, tuple[str, ...]]) -> AcrossConfig:
    """Read ``[across]`` and ``[fees.<exchange>.<product>]``; ``products`` are those of every enabled exchange.

    Raises ConfigError.
    """
    table = root.table("across", ACROSS_KEYS)
    usual = Threshold()
    threshold = Threshold(
        bps=_bps(table, "threshold_bps", usual.bps, LOWEST_BPS, HIGHEST_BPS),
        duration_s=table.number("duration_s", usual.duration_s, 0, LONGEST_S, "seconds"),
        oldest_s=table.number("oldest_s", usual.oldest_s, 0, LONGEST_S, "seconds"),
        source="file" if "threshold_bps" in table or "duration_s" in table else "default",
    )
    return AcrossConfig(
        ties=Ties(groups=_ties(table), par=table.flag("par", False)),
        watch=_watch(table),
        threshold=threshold,
        fees=_fees(root, products),
    )


def _ties(table: Table) -> tuple[tuple[str, ...], ...]:
    groups = table.value("ties", [])
    allowed = 'must be lists of two or more currencies, like [["USD", "USDT", "USDC"]]'
    if not isinstance(groups, list):
        raise table.wrong("ties", allowed)
    seen: set[str] = set()
    for group in groups:
        good = isinstance(group, list) and len(group) > 1 and all(isinstance(name, str) and name for name in group)
        if not good:
            raise table.wrong("ties", allowed)
        for name in group:
            if name in seen:
                raise table.wrong("ties", f"{shown(name)} is listed twice")
            seen.add(name)
    return tuple(tuple(group) for group in groups)


def _watch(table: Table) -> tuple[str, ...]:
    found = []
    for text in table.texts("watch", ()):
        try:
            topic = parse_topic(text)
        except ValueError as error:
            raise table.wrong("watch", str(error)) from None
        if topic.kind != MATRIX:
            raise table.wrong("watch", f"{shown(text)} must be a matrix topic, like matrix@0.5:BTC/USDT")
        found.append(str(topic))
    return tuple(found)


def _fees(root: Table, products: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, str], Fee]:
    found: dict[tuple[str, str], Fee] = {}
    for exchange, content in root.tables("fees"):
        if exchange not in products:
            raise ConfigError(
                f"{root.file}: fees.{exchange}: is not an enabled exchange; allowed are {', '.join(sorted(products))}"
            )
        table = Table(root.file, f"fees.{exchange}", content, products[exchange])
        for product in products[exchange]:
            if product not in table:
                continue
            part = table.table(product, FEE_KEYS)
            found[exchange, product] = Fee(
                maker_bps=_bps(part, "maker_bps"), taker_bps=_bps(part, "taker_bps"), source="file"
            )
    return found


def _bps(table: Table, key: str, default: Decimal | None = None, *limits: Decimal) -> Decimal:
    """Basis points as a number or as text. A number as it is printed is exact: TOML's 5.5 is 5.5."""
    if key not in table and default is not None:
        return default
    value = table.value(key, None)
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    try:
        return read_bps(text, *limits)
    except ValueError as error:
        raise table.wrong(key, str(error).replace("decimal text", "a number")) from None
