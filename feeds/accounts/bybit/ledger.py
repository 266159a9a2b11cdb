"""Bybit's transaction log: what changed the unified wallet and was no execution.

Facts (sources: bybit-exchange.github.io/docs/v5: account/transaction-log, enum "type(uta-translog)" and "execType",
websocket/private/execution, acct-mode, account/wallet-balance; changelog of 2025 and 2026):

* The log tells windows of at most seven days of the last two years, newest first, 50 a page; inverse contracts and
  options are in it too. It may be late when markets move a lot. It may be asked 25 times a second (2026-05: half as
  often as before), and for one ``type`` at a time, of which there are about a hundred.
* ``change`` = ``cashFlow`` + ``funding`` - ``fee``, signed as it changed the wallet.
* ``SETTLEMENT``: ``funding``, positive where it was received (``execFee`` of the execution has the other sign). Of USDC
  contracts the profit of the eight-hour session is settled in the same record, as ``cashFlow``: money that no execution
  tells, since ``execPnl`` of an execution is the ``cashFlow`` of that execution's own record.
* ``TRADE``, ``LIQUIDATION`` and ``ADL`` are executions, and are told as fills. ``DELIVERY`` is said to be that of USDC
  futures and options, while among the executions ``Delivery`` is that of USDT futures and of what is delisted.
* ``TRANSFER_IN`` and ``TRANSFER_OUT`` are all that comes and goes from outside: a deposit reaches the funding wallet
  and is moved on from there, as a withdrawal is moved there first. So the records of deposits and withdrawals, which
  are the funding wallet's, would tell the same money twice.
* What is borrowed is in ``walletBalance`` and, once more, in ``spotBorrow``: our balance, what is owned, is without it
  and stays as it is by ``BORROW`` and ``REPAY``.

Not documented: what most other types mean beyond their names. They are told as ``other`` with Bybit's name: that
explains a balance and is part of no profit. Subscriptions, redemptions and refunds of Bybit's products are
``internal``: the owner's money is elsewhere at Bybit; a yield in a redemption is not told apart. The session's profit
is ``income`` if the contract's fills are followed: with theirs it makes the whole; else it is ``other``.

How it is read: asked without a type the log is as long as there are fills, so it is read so from where it was last read
to its end, an hour before to be sure, and at the start a day back. The further past is asked for the types that most
accounts have. Transfers are always asked for, too: an older version of this list (v3) told them only if asked for.
"""

from collections.abc import Container
from decimal import Decimal

import msgspec

from feeds.account_domain import Transfer, TransferKind
from feeds.account_reading import EXACT, Ms, Wire, figure, needed
from feeds.accounts.bybit import pages
from feeds.accounts.bybit.pages import LOG_PATH
from feeds.accounts.bybit.rows import WALLET
from feeds.accounts.bybit.wire import reading, result
from feeds.exchange import MarketIndex, Request

WINDOW_MS = 7 * 86_400_000
BACK_MS = 90 * 86_400_000
"""Nobody asks further back (``feeds.following.polls``)."""
A_PAGE = 50
AGAIN_MS = 3_600_000
"""So much of what was read is read again: the log may be late."""
FIRST_MS = 86_400_000
"""So far back it is read with everything at first."""

MOVED = ("TRANSFER_IN", "TRANSFER_OUT")
USUAL = (*MOVED, "SETTLEMENT", "INTEREST", "FEE_REFUND", "BONUS")
"""All of them are also named by the explorer of the documentation (api-explorer), which lists fewer."""
EXECUTED = frozenset({"TRADE", "LIQUIDATION", "ADL"})
BORROWED = frozenset(
    ("BORROW", "REPAY", "MANUAL_LOANS_BORROW", "MANUAL_LOANS_REPAY", "AUTO_LOANS_BORROW", "AUTO_LOANS_REPAY")
)
SESSION = "session settlement"

_INTEREST = (
    *("INTEREST", "INTEREST_REPAYMENT_INS_LOAN", "AUTO_INTEREST_REPAYMENT_INS_LOAN"),
    *("INSTITUTION_PAYBACK_INTEREST_OUT", "INSTITUTION_LIQ_INTEREST_OUT"),
)
_INCOME = ("AIRDROP", "BONUS", "BONUS_RECOLLECT", "FEE_REFUND", "TWAP_BUDGET_AIRDROP", "TWAP_BUDGET_RECALL")
_FEES = ("CUSTODY_NETWORK_FEE", "CUSTODY_SETTLE_FEE", "SPREAD_FEE_OUT", "BROKER_ABACCOUNT_FEE")
_INTERNAL = (
    *MOVED,
    *("FLEXIBLE_STAKING_SUBSCRIPTION", "FLEXIBLE_STAKING_REDEMPTION", "FLEXIBLE_STAKING_REFUND"),
    *("FIXED_STAKING_SUBSCRIPTION", "FIXED_STAKING_REFUND"),
    *("ONCHAINEARN_SUBSCRIPTION", "ONCHAINEARN_REDEMPTION", "ONCHAINEARN_REFUND"),
    *("STRUCTURE_PRODUCT_SUBSCRIPTION", "STRUCTURE_PRODUCT_REFUND", "CLASSIC_WEALTH_MANAGEMENT_SUBSCRIPTION"),
    *("PREMIMUM_WEALTH_MANAGEMENT_SUBSCRIPTION", "PREMIMUM_WEALTH_MANAGEMENT_REFUND"),
    *("LIQUIDITY_MINING_SUBSCRIPTION", "LIQUIDITY_MINING_REFUND", "PWM_SUBSCRIPTION", "PWM_REFUND"),
    *("DEFI_INVESTMENT_SUBSCRIPTION", "DEFI_INVESTMENT_REFUND", "DEFI_INVESTMENT_REDEMPTION"),
    *("CUSTODY_LOCK", "CUSTODY_UNLOCK", "CUSTODY_UNLOCK_REFUND", "PEF_TRANSFER_IN", "PEF_TRANSFER_OUT"),
)
KINDS: dict[str, TransferKind] = {
    **dict.fromkeys(_INTEREST, "interest"),
    **dict.fromkeys(_INCOME, "income"),
    **dict.fromkeys(_FEES, "fee"),
    **dict.fromkeys(_INTERNAL, "internal"),
}
PLAIN = frozenset({*MOVED, "INTEREST"})
"""Types of which the kind says all."""


class _Record(Wire, frozen=True):
    """``{"id":"592324_XRPUSDT_161440249321","symbol":"XRPUSDT","side":"Buy","funding":"-0.003676","fee":"0.00000000",
    "change":"-0.003676","cashFlow":"0","transactionTime":"1672128000000","type":"SETTLEMENT","feeRate":"0.0001",
    "size":"100","cashBalance":"5086.55825002","currency":"USDT","category":"linear"}``"""

    id: str
    type: str
    currency: str
    transactionTime: Ms
    change: str = ""
    funding: str = ""
    symbol: str = ""
    category: str = ""

    def transfers(self, markets: MarketIndex, followed: Container[str]) -> list[Transfer]:
        """What it is besides executions: nothing, one, or of a USDC contract's settlement two. ``followed``: products
        of which the fills are told."""
        if self.type in EXECUTED or self.type in BORROWED or (self.type == "DELIVERY" and not self._delivers_usdc()):
            return []
        change = needed(self.change, "change")
        if self.type != "SETTLEMENT":
            kind = KINDS.get(self.type, "other")
            return self._told(markets, kind, change, "" if self.type in PLAIN else self.type)
        funding = figure(self.funding, "funding") or Decimal(0)
        return [
            *self._told(markets, "funding", funding, ""),
            *self._told(
                markets, "income" if self.category in followed else "other", EXACT.subtract(change, funding), SESSION
            ),
        ]

    def _delivers_usdc(self) -> bool:
        """Not that of a contract whose delivery is an execution."""
        return self.category != "linear" or (self.currency == "USDC" and "-" in self.symbol)

    def _told(self, markets: MarketIndex, kind: TransferKind, amount: Decimal, note: str) -> list[Transfer]:
        if not amount:
            return []
        market = markets.native(self.category, self.symbol) if self.symbol else None
        if self.symbol and market is None:
            note = f"{note} {self.symbol}".strip()
        return [
            Transfer(
                product=WALLET,
                id=f"{self.id}-{self.type}",  # Bybit's examples have one id for rows of two types
                kind=kind,
                asset=self.currency,
                amount=amount,
                symbol=market.symbol if market is not None else None,
                note=note,
                exchange_ms=self.transactionTime,
            )
        ]


class _Log(Wire, frozen=True):
    rows: list[_Record] = msgspec.field(name="list")


class WalletLog:
    """What is asked of the log, and how far it was read. Times are the exchange's, in ms."""

    def __init__(self, markets: MarketIndex, followed: Container[str]) -> None:
        self._markets = markets
        self._followed = followed
        self._read_ms: int | None = None  # up to here everything was read

    def requests(self, since_ms: int, now_ms: int) -> list[Request]:
        oldest_ms = max(since_ms, now_ms - BACK_MS, 0)
        first = self._read_ms is None
        requests = [
            _asked(begin_ms, kind)
            for begin_ms in range(oldest_ms, now_ms + 1, WINDOW_MS)
            for kind in (USUAL if first else MOVED)
        ]
        fresh_ms = now_ms - FIRST_MS if self._read_ms is None else self._read_ms - AGAIN_MS
        return requests + [
            _asked(begin_ms, None) for begin_ms in range(max(oldest_ms, fresh_ms), now_ms + 1, WINDOW_MS)
        ]

    def parse(self, request: Request, raw: bytes, now_ms: int) -> list[Transfer]:
        with reading(raw, LOG_PATH):
            told = [
                transfer for row in result(raw, _Log).rows for transfer in row.transfers(self._markets, self._followed)
            ]
        asked = dict(request.params)
        if "type" not in asked and pages.next_page(request, raw) is None:
            self._read_ms = max(self._read_ms or 0, min(now_ms, int(asked["endTime"])))
        return told


def _asked(begin_ms: int, kind: str | None) -> Request:
    params = {
        "accountType": "UNIFIED",
        **({} if kind is None else {"type": kind}),
        "startTime": str(begin_ms),
        "endTime": str(begin_ms + WINDOW_MS),
        "limit": str(A_PAGE),
    }
    return Request(path=LOG_PATH, params=tuple(params.items()), product=WALLET)
