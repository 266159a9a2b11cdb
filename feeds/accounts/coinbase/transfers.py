"""Coinbase: deposits and withdrawals, which another interface (v2) tells, wallet by wallet.

Facts (docs.cdp.coinbase.com: coinbase-app/track-apis, transactions and pagination), as of 2026:

* ``GET /v2/accounts/<wallet>/transactions`` takes the same tokens; a key that may ``view`` may ask it. Newest first,
  100 rows at most; ``pagination.next_uri`` is null on the last page; ``starting_after`` continues after a row's id.
* ``amount`` is signed: positive came into the wallet. Trades are among the rows (``advanced_trade_fill``, ``buy``,
  ``sell``, ``trade``).
* That a wallet has the id here that the brokerage's list of wallets calls ``uuid`` is not documented.

A wallet is asked for only when its balance is another one than when its rows were last read: whatever comes or goes
changes it. What comes and goes again between two readings is read with the next change.
"""

from collections import deque
from decimal import Decimal
from typing import Literal

import msgspec

from feeds.account_domain import Transfer
from feeds.account_reading import EXACT, Moment, Wire, ms_of, needed
from feeds.accounts.coinbase.wire import HOST, PRODUCT, reading
from feeds.errors import ParseError
from feeds.exchange import Request

TRANSFERS = "transfers"
"""What the requests are about: the list of wallets is asked for the balances, too."""

ROWS = 100
DONE, FAILED = "completed", frozenset({"failed", "expired", "canceled"})
CAME_OR_WENT = frozenset({"fiat_deposit", "fiat_withdrawal", "send", "receive"})
MOVED = frozenset(
    {
        *("transfer", "intx_deposit", "intx_withdrawal", "derivatives_settlement", "staking_transfer"),
        *("unstaking_transfer", "vault_withdrawal", "pro_deposit", "pro_withdrawal"),
        *("exchange_deposit", "exchange_withdrawal"),
    }
)
"""Between places of one owner at Coinbase."""


class _Amount(Wire, frozen=True):
    amount: str
    currency: str


class _Row(Wire, frozen=True):
    """``{"id":"57ffb4ae-0c59-5430-bcd3-3f98f797a66c","type":"send","status":"completed","amount":{"amount":
    "-0.00100000","currency":"BTC"},"created_at":"2015-03-11T13:13:35-07:00","network":{"status":"off_blockchain"}}``"""

    id: str
    type: str
    status: str
    amount: _Amount
    created_at: Moment

    def transfer(self) -> Transfer | None:
        """None for what is no transfer: trades, rewards, what was asked of somebody and not paid."""
        amount = needed(self.amount.amount, "amount")
        kind: Literal["deposit", "withdrawal", "internal"]
        if self.type in MOVED:
            kind = "internal"
        elif self.type in CAME_OR_WENT:
            kind = "deposit" if amount >= 0 else "withdrawal"
        else:
            return None
        return Transfer(
            product=PRODUCT,
            id=self.id,
            kind=kind,
            asset=self.amount.currency,
            amount=amount,
            status="done" if self.status == DONE else "failed" if self.status in FAILED else "pending",
            exchange_ms=ms_of(self.created_at),
        )


class _Pagination(Wire, frozen=True):
    next_uri: str | None = None


class _Page(Wire, frozen=True):
    data: list[_Row]
    pagination: _Pagination = _Pagination()


class _Value(Wire, frozen=True):
    value: str


class _Wallet(Wire, frozen=True):
    """See ``rows.py``."""

    uuid: str
    available_balance: _Value
    hold: _Value
    updated_at: Moment | None = None


class _Wallets(Wire, frozen=True):
    accounts: list[_Wallet]
    has_next: bool = False
    cursor: str = ""


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_wallets = msgspec.json.Decoder(_Wallets).decode


class TransferReader:
    """One reading: all pages of wallets, then all pages of those that changed. ``wallets``: path of their list."""

    def __init__(self, wallets: str) -> None:
        self._wallets = wallets
        self._since_ms = 0
        self._read: dict[str, Decimal] = {}  # balance of each wallet whose rows were read to the end
        self._to_read: deque[tuple[str, Decimal]] = deque()

    def begin(self, since_ms: int) -> Request:
        self._since_ms = since_ms
        self._to_read.clear()
        return Request(path=self._wallets, params=(("limit", "250"),), product=HOST, about=TRANSFERS)

    def following(self, request: Request, raw: bytes) -> Request | None:
        """What to ask after this answer; None: it was the last."""
        if request.path != self._wallets:
            return self._older(request, raw) or self._finished()
        with reading(raw, "wallets"):
            page = _decode_wallets(raw)
            for wallet in page.accounts:
                self._note(wallet)
        if not page.has_next:
            return self._first()
        asked = dict(request.params)
        if not page.cursor or page.cursor == asked.get("cursor"):
            raise ParseError(f"Coinbase, {request.path}: the page after this one is not told", raw)
        params = {**asked, "cursor": page.cursor}
        return msgspec.structs.replace(request, params=tuple(params.items()))

    def _note(self, wallet: _Wallet) -> None:
        held = EXACT.add(needed(wallet.available_balance.value, "balance"), needed(wallet.hold.value, "hold"))
        known = self._read.get(wallet.uuid)
        quiet = known is None and not held and wallet.updated_at is not None and self._is_old(wallet.updated_at)
        if held != known and not quiet:
            self._to_read.append((wallet.uuid, held))

    def _is_old(self, moment: Moment) -> bool:
        return ms_of(moment) < self._since_ms

    def _first(self) -> Request | None:
        """The newest rows of the next wallet."""
        if not self._to_read:
            return None
        path = f"/v2/accounts/{self._to_read[0][0]}/transactions"
        return Request(path=path, params=(("limit", str(ROWS)), ("order", "desc")), product=HOST, about=TRANSFERS)

    def _older(self, request: Request, raw: bytes) -> Request | None:
        with reading(raw, "transactions"):
            page = _decode_page(raw)
        if not page.pagination.next_uri or not page.data or self._is_old(page.data[-1].created_at):
            return None
        params = {**dict(request.params), "starting_after": page.data[-1].id}
        if tuple(params.items()) == request.params:
            raise ParseError(f"Coinbase, {request.path}: the page after this one is this one", raw)
        return msgspec.structs.replace(request, params=tuple(params.items()))

    def _finished(self) -> Request | None:
        """With this wallet; on to the next."""
        if self._to_read:
            wallet, held = self._to_read.popleft()
            self._read[wallet] = held
        return self._first()

    def parse(self, request: Request, raw: bytes) -> list[Transfer]:
        if request.path == self._wallets:
            return []
        with reading(raw, "transactions"):
            told = [row.transfer() for row in _decode_page(raw).data]
        return [transfer for transfer in told if transfer is not None]
