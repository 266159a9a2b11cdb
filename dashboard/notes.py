"""Writing what an account has few of: transfers, what its key may do, notices of what did not agree. Synchronous;
called through ``dashboard.store``, like ``dashboard.ledger``."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from django.db import transaction

from dashboard.fields import canonical
from dashboard.ledger import held
from dashboard.models import ExchangeAccount
from dashboard.models_accounts import AccountNotice, CheckedBalances, Transfer
from feeds import account_domain
from feeds.account import KeyRights

ENDED = ("done", "failed")
NOTE_LENGTH = 64
"""Of an exchange's own name for a transfer; it is for people to recognise."""


def put_transfers(account_id: int, transfers: Sequence[account_domain.Transfer], recv_ns: int) -> None:
    """One row per (kind, id). A status may advance; one that has ended stays, as does a fee that is known."""
    with transaction.atomic():
        account = held(account_id)
        if account is None:
            return
        stored = {
            (row.kind, row.transfer_id): row
            for row in Transfer.objects.filter(account=account, transfer_id__in=[t.id for t in transfers])
        }
        for transfer in transfers:
            row = stored.get((transfer.kind, transfer.id))
            if row is None:
                row = Transfer(account=account, kind=transfer.kind, transfer_id=transfer.id)
            elif row.status in ENDED and transfer.status == "pending":
                continue
            told = {
                "product": transfer.product,
                "asset": transfer.asset,
                "amount": transfer.amount,
                "fee": row.fee if transfer.fee is None else transfer.fee,
                "symbol": transfer.symbol or "",
                "note": transfer.note[:NOTE_LENGTH],
                "status": transfer.status,
                "exchange_ms": transfer.exchange_ms,
            }
            if row.pk and all(getattr(row, name) == value for name, value in told.items()):
                continue
            for name, value in told.items():
                setattr(row, name, value)
            row.recv_ns = recv_ns
            row.save()
            stored[transfer.kind, transfer.id] = row


def put_rights(account_id: int, rights: KeyRights | None) -> None:
    """As ``msgspec`` writes them; where the exchange cannot be asked, every one of them is unknown."""
    known = msgspec.to_builtins(rights or KeyRights(read=None, trade=None, withdraw=None))
    ExchangeAccount.objects.filter(pk=account_id).update(rights={**known, "told": rights is not None})


def put_checked(account_id: int, checked: account_domain.Checked) -> None:
    with transaction.atomic():
        account = held(account_id)
        if account is None:
            return
        stored = CheckedBalances.objects.filter(account=account, product=checked.product).first()
        if stored is not None and stored.asof_ms > checked.asof_ms:
            return
        row = stored or CheckedBalances(account=account, product=checked.product)
        row.totals = {asset: canonical(total) for asset, total in checked.totals.items()}
        row.asof_ms, row.booked = checked.asof_ms, [list(key) for key in checked.booked]
        row.only_here = checked.only_here
        row.save()


def checked(account_id: int) -> list[account_domain.Checked]:
    return [
        account_domain.Checked(
            product=row.product,
            totals={asset: Decimal(text) for asset, text in row.totals.items()},
            asof_ms=row.asof_ms,
            booked=tuple((name, number) for name, number in row.booked),
            only_here=row.only_here,
        )
        for row in CheckedBalances.objects.filter(account=account_id).order_by("product")
    ]


def put_finding(account_id: int, finding: account_domain.Finding, now_ns: int) -> None:
    """Open a notice, or bring the open one of this cause up to date."""
    told = {
        "kind": finding.kind,
        "sentence": finding.sentence,
        "expected": finding.expected,
        "found": finding.found,
        "asof_ms": finding.asof_ms,
        "count": finding.count,
        "changed_ns": now_ns,
    }
    with transaction.atomic():
        account = held(account_id)
        if account is None:
            return
        mine = AccountNotice.objects.filter(account=account, cause=finding.cause, resolved_ns=None)
        if not mine.update(**told):
            AccountNotice.objects.create(account=account, cause=finding.cause, opened_ns=now_ns, **told)


def resolve_finding(account_id: int, cause: str, sentence: str, now_ns: int) -> None:
    mine = AccountNotice.objects.filter(account=account_id, cause=cause, resolved_ns=None)
    mine.update(resolved_ns=now_ns, resolution=sentence, changed_ns=now_ns)


def open_causes(account_id: int) -> set[str]:
    found = AccountNotice.objects.filter(account=account_id, resolved_ns=None)
    return set(found.values_list("cause", flat=True))


def begun_anew(exchanges: Sequence[str], now_ns: int) -> None:
    """These exchanges are simulated, and know nothing of their former life: balances that were checked then are no
    beginning, and its notices are void."""
    accounts = ExchangeAccount.objects.filter(exchange__in=exchanges)
    with transaction.atomic():
        CheckedBalances.objects.filter(account__in=accounts).delete()
        void = AccountNotice.objects.filter(account__in=accounts, resolved_ns=None)
        sentence = "The simulated exchange began anew."
        void.update(resolved_ns=now_ns, resolution=sentence, changed_ns=now_ns)
