"""What the worker writes down for the web side, and the accounts that it reads: all synchronous, for one thread.

An asynchronous caller runs them by ``DjangoAccountStore.run``, in the thread that writes everything else.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import transaction

from dashboard import auth
from dashboard.models import ExchangeAccount, MarketRow, SealingKey, WorkerReport

REPORT = 1
"""Primary key of the one report."""

_MARKET_TEXTS = ("native", "product", "base", "quote", "status")
_MARKET_NUMBERS = ("tick", "lot", "min_size", "min_notional")
_MARKET_COLUMNS = (*_MARKET_TEXTS, *_MARKET_NUMBERS, "settle", "pinned", "simulated", "via")


def put_report(body: Mapping[str, Any], recv_ns: int | None = None) -> None:
    """The worker's report: ``Engine.health()`` and what else the web side reads from it:
    ``clock_offsets_ms`` {exchange: its clock minus ours}, ``simulated`` [exchange, ...], ``pinned`` ["exchange:symbol",
    ...] in the configuration's order."""
    WorkerReport.objects.update_or_create(
        pk=REPORT, defaults={"body": dict(body), "recv_ns": time.time_ns() if recv_ns is None else recv_ns}
    )


def report() -> WorkerReport | None:
    return WorkerReport.objects.filter(pk=REPORT).first()


def simulated_exchanges() -> set[str]:
    """Exchanges whose data are made up."""
    return set(MarketRow.objects.filter(simulated=True).order_by().values_list("exchange", flat=True).distinct())


def put_markets(exchange: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """All instruments of one exchange, as in ``/api/markets/``; those not among them are removed. Only rows that
    differ are written."""
    with transaction.atomic():
        stored = {row.symbol: row for row in MarketRow.objects.filter(exchange=exchange)}
        new: list[MarketRow] = []
        changed: list[MarketRow] = []
        seen: set[str] = set()
        for given in rows:
            symbol = given["symbol"]
            seen.add(symbol)
            values = _market_values(given)
            row = stored.get(symbol)
            if row is None:
                new.append(MarketRow(exchange=exchange, symbol=symbol, **values))
            elif any(getattr(row, name) != value for name, value in values.items()):
                for name, value in values.items():
                    setattr(row, name, value)
                changed.append(row)
        MarketRow.objects.bulk_create(new, batch_size=500)
        MarketRow.objects.bulk_update(changed, _MARKET_COLUMNS, batch_size=100)
        gone = [row.pk for symbol, row in stored.items() if symbol not in seen]
        for start in range(0, len(gone), 500):
            MarketRow.objects.filter(pk__in=gone[start : start + 500]).delete()


def _market_values(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: given[name] for name in _MARKET_TEXTS},
        **{name: Decimal(given[name]) for name in _MARKET_NUMBERS},
        "settle": given["settle"] or "",
        "pinned": given["pinned"],
        "simulated": given["simulated"],
        "via": given["via"],
    }


def keep_exchanges(names: Collection[str]) -> None:
    """Forget the instruments of exchanges that are not configured any more."""
    MarketRow.objects.exclude(exchange__in=names).delete()


def put_sealing_key(key_id: str, public_key: str, exchanges: Mapping[str, Mapping[str, Any]]) -> None:
    """Publish the public key (base64) that browsers seal exchange keys with, and the accounts that can be followed,
    as docs/protocol.md section 4 shows them."""
    with transaction.atomic():
        SealingKey.objects.exclude(key_id=key_id).delete()
        SealingKey.objects.update_or_create(
            key_id=key_id, defaults={"public_key": public_key, "exchanges": dict(exchanges)}
        )


def sealing_key() -> SealingKey | None:
    return SealingKey.objects.order_by("-created", "-pk").first()


def accounts() -> list[ExchangeAccount]:
    """All accounts, for the worker to follow."""
    return list(ExchangeAccount.objects.order_by("pk"))


def put_environment_account(
    *,
    name: str,
    exchange: str,
    label: str,
    products: Sequence[str],
    symbols: Sequence[str],
    poll_s: float,
    fingerprint: str,
    trading: bool = False,
    only_here: bool = False,
    cancel_on_stop: bool = False,
    dead_man_s: int = 0,
) -> int:
    """The account's number for an account of the configuration, whose keys the worker has from its environment.

    It belongs to the first user. Found again by ``name`` at the next start; a label that this user has given to
    another account of the exchange gets the name added.
    """
    with transaction.atomic():
        row = ExchangeAccount.objects.filter(name=name).first()
        if row is None:
            row = ExchangeAccount(name=name, owner=auth.first_user(), source=ExchangeAccount.Source.ENVIRONMENT)
        elif row.exchange != exchange:
            # The same name for another exchange is another account; what the old one held stays its own.
            row.name = ""
            _retire(row)
            row = ExchangeAccount(name=name, owner=row.owner, source=ExchangeAccount.Source.ENVIRONMENT)
        taken = ExchangeAccount.objects.filter(owner=row.owner, exchange=exchange, label=label).exclude(pk=row.pk)
        row.exchange = exchange
        row.label = f"{label[:40]} ({name[:7]})" if taken.exists() else label
        row.products = list(products)
        row.symbols = list(symbols)
        row.poll_s = poll_s
        row.fingerprint = fingerprint
        row.trading, row.only_here = trading, only_here
        row.cancel_on_stop, row.dead_man_s = cancel_on_stop, dead_man_s
        row.save()
        return row.pk


def retire_environment_accounts(keep: Collection[str]) -> None:
    """Accounts of the environment that are not configured any more: their rows stay, marked DOWN, until their owner
    removes them, or they are configured again."""
    for row in ExchangeAccount.objects.filter(source=ExchangeAccount.Source.ENVIRONMENT).exclude(name__in=keep):
        _retire(row)


def _retire(row: ExchangeAccount) -> None:
    row.state = "DOWN"
    row.sentence = "This account is not in the configuration any more."
    row.save(update_fields=("name", "state", "sentence"))
