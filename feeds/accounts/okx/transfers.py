"""OKX, deposits and withdrawals. Source: www.okx.com/docs-v5, funding account (deposit and withdrawal history).

Deposits arrive in the funding account and withdrawals leave it; what else happens to both accounts, ``bills`` tells.
"""

import msgspec

from feeds.account_domain import Transfer
from feeds.accounts.okx.wire import FUNDING, Amount, Moment, amount, amount_or_0, rows


class _Deposit(msgspec.Struct):
    """``{"amt":"1","ccy":"USDT","depId":"88****33","state":"2","ts":"1674038705000"}``."""

    depId: str
    ccy: str
    amt: Amount
    state: str
    ts: Moment


class _Withdrawal(msgspec.Struct):
    """``{"ccy":"ETH","amt":"0.029809","fee":"0.007","state":"2","ts":"1655251200000","wdId":"15447421"}``; the fee
    comes on top of the amount."""

    wdId: str
    ccy: str
    amt: Amount
    state: str
    ts: Moment
    fee: Amount = ""
    feeCcy: str = ""


_CREDITED = frozenset({"1", "2"})  # 1: not to be withdrawn yet
_FAILED = frozenset({"-1", "-2"})  # failed, cancelled


def parse_deposits(raw: bytes) -> list[Transfer]:
    """``GET /api/v5/asset/deposit-history``: into the funding account."""
    return [
        Transfer(
            product=FUNDING,
            id=row.depId,
            kind="deposit",
            asset=row.ccy,
            amount=amount_or_0(row.amt),
            status="done" if row.state in _CREDITED else "pending",
            exchange_ms=int(row.ts),
        )
        for row in rows(raw, _Deposit)
    ]


def parse_withdrawals(raw: bytes) -> list[Transfer]:
    """``GET /api/v5/asset/withdrawal-history``: out of the funding account."""
    return [
        Transfer(
            product=FUNDING,
            id=row.wdId,
            kind="withdrawal",
            asset=row.ccy,
            amount=-amount_or_0(row.amt),
            fee=amount(row.fee) if row.feeCcy in ("", row.ccy) else None,
            status="done" if row.state == "2" else "failed" if row.state in _FAILED else "pending",
            exchange_ms=int(row.ts),
        )
        for row in rows(raw, _Withdrawal)
    ]
