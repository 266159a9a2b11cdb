"""Binance, deposits and withdrawals by REST. Source: developers.binance.com, Wallet, Capital: deposit history, withdraw
history.

* ``GET /sapi/v1/capital/deposit/hisrec`` (weight 1 per address) and ``GET /sapi/v1/capital/withdraw/history`` (10 a
  second, a limit of its own) tell at most 1000 rows of at most 90 days; without times, of the last 90 days.
* Deposits: 0 pending, 6 credited but not to be withdrawn yet, 7 wrong, 8 waiting for the user, 1 success, 2 rejected.
  Withdrawals: 0 mail sent, 1 cancelled, 2 waiting for approval, 3 rejected, 4 processing, 5 failure, 6 completed.
* ``walletType`` 0 is the spot wallet, 1 the funding wallet, which is none of the balances that we follow.
* A withdrawal's fee comes on top of its amount. Its times are UTC text without a zone; ``applyTime`` is when it was
  asked for.
* Transfers between the own wallets (spot to futures) are told by another question, kind by kind, which a key may ask
  only if it may make such transfers; so they are not asked. The stream tells how much of what came or went
  (``balanceUpdate``), the futures wallet's own list its side of them (``income``).
* ``GET /sapi/v1/asset/assetDividend`` (weight 10, 500 rows of at most 180 days; ``direction`` 1 in, -1 out, only in the
  Chinese documentation) tells airdrops, interest and rebates, but not into which wallet they were paid: into the
  funding wallet, or one of Earn, they would be a profit of this account that it never had. So they are not asked for;
  what of them comes into the spot wallet is in its balance.
"""

from datetime import UTC, datetime
from decimal import Decimal

from feeds.account_domain import Transfer
from feeds.account_reading import Ms, Wire
from feeds.accounts.binance.wire import decode
from feeds.errors import ParseError
from feeds.exchange import Request

DEPOSITS = "/sapi/v1/capital/deposit/hisrec"
WITHDRAWALS = "/sapi/v1/capital/withdraw/history"
WALLETS = {0: "spot", 1: "funding"}

DEPOSITED, NOT_DEPOSITED = (1, 6), (2, 7)
WITHDRAWN, NOT_WITHDRAWN = (6,), (1, 3, 5)


class _Deposit(Wire, frozen=True, rename="camel"):
    amount: Decimal
    coin: str
    status: int
    insert_time: Ms
    tx_id: str
    id: str = ""  # not told of old ones
    wallet_type: int = 0


class _Withdrawal(Wire, frozen=True, rename="camel"):
    id: str
    amount: Decimal
    coin: str
    status: int
    apply_time: str
    transaction_fee: Decimal | None = None
    wallet_type: int = 0


def requests(since_ms: int) -> list[Request]:
    since = (("startTime", str(max(0, since_ms))), ("limit", "1000"))
    return [Request(path=path, params=since, product="spot") for path in (DEPOSITS, WITHDRAWALS)]


def parse(request: Request, raw: bytes) -> list[Transfer]:
    return parse_deposits(raw) if request.path == DEPOSITS else parse_withdrawals(raw)


def parse_deposits(raw: bytes) -> list[Transfer]:
    return [
        Transfer(
            product=WALLETS.get(row.wallet_type, "other"),
            id=row.id or row.tx_id,
            kind="deposit",
            asset=row.coin,
            amount=row.amount,
            status="done" if row.status in DEPOSITED else "failed" if row.status in NOT_DEPOSITED else "pending",
            exchange_ms=row.insert_time,
        )
        for row in decode(raw, list[_Deposit])
    ]


def parse_withdrawals(raw: bytes) -> list[Transfer]:
    return [
        Transfer(
            product=WALLETS.get(row.wallet_type, "other"),
            id=row.id,
            kind="withdrawal",
            asset=row.coin,
            amount=-row.amount,
            fee=row.transaction_fee,
            status="done" if row.status in WITHDRAWN else "failed" if row.status in NOT_WITHDRAWN else "pending",
            exchange_ms=_utc_ms(row.apply_time, raw),
        )
        for row in decode(raw, list[_Withdrawal])
    ]


def _utc_ms(text: str, raw: bytes) -> int:
    """``2019-10-12 11:12:02``."""
    try:
        return round(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError as error:
        raise ParseError(f"Binance: applyTime: {text!r} is not a time", raw) from error
