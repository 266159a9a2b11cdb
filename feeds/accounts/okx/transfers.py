"""OKX, money that came and went other than by trading.

Source: www.okx.com/docs-v5, funding account (deposit and withdrawal history, bills), trading account (bills). Deposits
arrive in the funding account and withdrawals leave it; between it, the trading account and sub-accounts money is moved
by transfers, of which each side has a bill. What was moved from one to the other of both so adds up to nothing.
"""

import msgspec

from feeds.account_domain import Transfer
from feeds.accounts.okx.wire import FUNDING, TRADING, Amount, Id, Moment, amount, amount_or_0, rows


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


class _Bill(msgspec.Struct):
    """``{"billId":"623950854533513219","ccy":"USDT","balChg":"0.0219","type":"1","ts":"1695033476167"}``."""

    billId: Id
    ccy: str
    balChg: Amount
    type: str
    ts: Moment

    def transfer(self, product: str, prefix: str = "") -> Transfer:
        return Transfer(
            product=product,
            id=prefix + self.billId,
            kind="internal",
            asset=self.ccy,
            amount=amount_or_0(self.balChg),
            exchange_ms=int(self.ts),
        )


_CREDITED = frozenset({"1", "2"})  # 1: not to be withdrawn yet
_FAILED = frozenset({"-1", "-2"})  # failed, cancelled
_TRANSFER = "1"
_FUNDING_TRANSFERS = frozenset({"20", "21", "22", "23", "130", "131"})  # with sub-accounts, the trading account


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


def parse_bills(raw: bytes) -> list[Transfer]:
    """``GET /api/v5/account/bills-archive?type=1``: into and out of the trading account."""
    return [row.transfer(TRADING) for row in rows(raw, _Bill) if row.type == _TRANSFER]


def parse_funding_bills(raw: bytes) -> list[Transfer]:
    """``GET /api/v5/asset/bills``: into and out of the funding account; its bills are numbered apart."""
    return [row.transfer(FUNDING, "funding-") for row in rows(raw, _Bill) if row.type in _FUNDING_TRANSFERS]
