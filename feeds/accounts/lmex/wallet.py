"""LMEX's wallet histories: what moved a wallet and is no fill, in windows of time.

Facts (sources: btsecom/docs: wallet and futuresV2_3, Query Wallet History):

* Futures number a row's ``type``: 105 is a transfer, 106 a liquidation, 108 realised profit, 110 funding, 121 a
  conversion of assets. **Realised profit comes with its fill as well** (``realizedPnl``, whose ``total`` is profit less
  fee), and a liquidation trades (orders have states for it): 106 and 108 are left out, or the same would be told twice.
* ``wallet`` asks for one wallet. Balances are those of ``CROSS@`` alone, and so are these rows.
* **Whether futures' amounts have a sign is not said.** One number stands for transfers in and out, and one for profit
  and loss: without signs they would say nothing. So what was received is taken for positive.
* Spot names the type. Its pairs (``Transfer_In``, ``Transfer_Out``) show that amounts have no sign, so a row is told if
  its name says which way the money went. ``Convert fiat``, ``trial fund`` and ``Trading Fee Stake Freeze``/``Unfreeze``
  (which may not even change the total) do not, and are left out.
* Of which market a payment of funding is, no field tells.
* How many rows an answer may have, in which order they come, and whether the bounds belong to the window, is not said.
  500 are asked for; a window whose answer is full is asked again in halves, and each begins before the end of the last.
"""

from decimal import Decimal
from typing import Literal

from feeds.account_domain import Transfer, TransferKind
from feeds.account_reading import Ms, Wire
from feeds.accounts.lmex.wire import ZERO, decode_rows, reading
from feeds.errors import ParseError
from feeds.exchange import Request

DAY_MS = 86_400_000
WINDOW_MS = 30 * DAY_MS
KEPT_MS = 180 * DAY_MS
"""How far back a first reading goes. LMEX does not say how much it keeps."""
PAGE = 500
WIDENING = 4
"""A narrowed window is followed by one so much wider."""
NARROWEST_MS = 2
"""Whether its bounds belong to a window is not said, so this one surely holds one millisecond."""
PATHS = {"spot": "/spot/api/v3.2/user/wallet_history", "futures": "/futures/api/v2.3/user/wallet_history"}
CROSS = "CROSS@"

SPOT_TYPES: dict[str, tuple[TransferKind, int]] = {
    "deposit": ("deposit", 1),
    "withdraw": ("withdrawal", -1),
    "transfer_in": ("internal", 1),
    "transfer_out": ("internal", -1),
    "sub account transfer in": ("internal", 1),
    "sub account transfer out": ("internal", -1),
    "referralearning": ("income", 1),
    "spot trading fee rebate": ("income", 1),
    "futures trading fee rebate": ("income", 1),
    "general trading fee rebate": ("income", 1),
    "strategy income": ("other", 1),
    "strategy pay": ("other", -1),
    "token voucher in": ("other", 1),
    "token voucher out": ("other", -1),
    "express buy": ("other", 1),
}
"""By ``type`` in lower case: what it is, and which way the money went."""
FUTURES_TYPES: dict[str, tuple[TransferKind, str]] = {
    "105": ("internal", ""),
    "110": ("funding", ""),
    "121": ("other", "Asset Conversion"),
}
"""What it is, and LMEX's name of it."""
SAYS_ALL = frozenset({"deposit", "withdraw", "transfer_in", "transfer_out"})
"""Types of which the kind and the sign say as much."""

Status = Literal["done", "pending", "failed"]
SPOT_STATUSES: dict[str, Status] = {
    "COMPLETED": "done",
    "PROCESSING": "pending",
    "PENDING": "pending",
    "CANCELLED": "failed",
    "EXPIRED": "failed",
    "FAILURE": "failed",
}
FUTURES_STATUSES: dict[str, Status] = {"1": "pending", "2": "pending", "10": "done", "16": "failed"}


class _Row(Wire, frozen=True):
    """Spot: ``{"amount":21.35823825,"currency":"USD","description":"String","fees":0.06,"orderId":20181213000239,
    "status":"COMPLETED","timestamp":1571630174639,"type":"Transfer_In","wallet":"@SPOT"}``; futures: ``"status":10,
    "type":105,"wallet":"CROSS@"``."""

    amount: Decimal
    currency: str
    orderId: int | str
    timestamp: Ms
    type: int | str
    status: int | str | None = None
    fees: Decimal | None = None
    wallet: str | None = None

    def transfer(self, product: str) -> Transfer | None:
        """None: a fill tells it, or nobody says which way it went. Raises ValueError for a state that is not
        documented."""
        of, told = str(self.type), str(self.status)
        number = f"{product}-{self.orderId}-{of}"
        if product == "spot":
            if (known := SPOT_TYPES.get(of.lower())) is None:
                return None
            kind, sign = known
            amount, note = sign * abs(self.amount), "" if of.lower() in SAYS_ALL else of
            status = SPOT_STATUSES.get(told.upper())
        else:
            if of not in FUTURES_TYPES or (self.wallet or CROSS).startswith("ISOLATED"):
                return None
            kind, note = FUTURES_TYPES[of]
            amount, status = self.amount, FUTURES_STATUSES.get(told)
            if kind == "other":  # what went and what came may be of one order
                number = f"{number}-{self.currency}"
        if status is None:
            raise ValueError(f"status is {told[:20]!r}, which is not documented")
        return Transfer(
            product=product,
            id=number,
            kind=kind,
            asset=self.currency,
            amount=amount,
            note=note,
            fee=self.fees or ZERO,
            status=status,
            exchange_ms=self.timestamp,
        )


def _request(product: str, begin_ms: int, end_ms: int) -> Request:
    only = (("wallet", CROSS),) if product == "futures" else ()
    window = (("startTime", str(begin_ms)), ("endTime", str(end_ms)), ("count", str(PAGE)))
    return Request(path=PATHS[product], params=(*only, *window), product=product)


def transfers_requests(products: tuple[str, ...], since_ms: int, now_ms: int) -> list[Request]:
    """The first window of each, from ``since_ms`` or the oldest that is asked for; :func:`next_page` goes on."""
    begin_ms = max(since_ms, now_ms - KEPT_MS, 1) - 1
    return [_request(product, begin_ms, begin_ms + WINDOW_MS) for product in products]


def next_page(request: Request, raw: bytes, now_ms: int) -> Request | None:
    """The window after this one, up to ``now_ms``; its first half if its answer is full. Raises ParseError if there are
    too many rows in one moment."""
    if request.path not in PATHS.values():
        return None
    given = dict(request.params)
    begin_ms, end_ms = int(given["startTime"]), int(given["endTime"])
    with reading(raw, request.path):
        full = len(decode_rows(raw, _Row)) >= PAGE
    if full:
        until_ms = min(end_ms, now_ms + 1)  # there is nothing later
        if until_ms - begin_ms <= NARROWEST_MS:
            raise ParseError(f"LMEX, {request.path}: {PAGE} at {begin_ms} ms, and no way to ask for more", raw)
        return _request(request.product, begin_ms, max(begin_ms + NARROWEST_MS, (begin_ms + until_ms) // 2))
    if end_ms > now_ms:
        return None
    width_ms = min((end_ms - begin_ms) * WIDENING, WINDOW_MS)
    return _request(request.product, end_ms - 1, end_ms - 1 + width_ms)


def parse_transfers(product: str, raw: bytes) -> list[Transfer]:
    with reading(raw, PATHS[product]):
        told = [row.transfer(product) for row in decode_rows(raw, _Row)]
    return [transfer for transfer in told if transfer is not None]
