"""OKX, bills: what changed the trading and the funding account and was neither a fill nor a deposit or a withdrawal.

Facts (source: www.okx.com/docs-v5, trading account: bills of 7 days, bills of 3 months; funding account: asset bills;
order book trading: transaction details):

* ``/account/bills`` has seven days, 5 requests a second; ``/account/bills-archive`` three months, 5 in 2 s. Both are
  newest first, 100 a page, continued after a ``billId``, and may be asked for one ``type``, of which there are about
  thirty. Whether one of them is late is not documented: what is recent is asked from the first.
* ``balChg`` is the change of the account, signed; ``posBalChg`` that of a position with margin of its own. Of funding
  fees the documentation names ``pnl`` as the payment: it is taken where the account's balance did not change.
* Bills of trades (2, liquidation 5, ADL 9, delta hedging 13, block trade 14, spread 24, moved position 32) are fills.
  Deliveries (3) are listed among the fills of swaps; those of dated futures and options, whose fills are not read, are
  told here. The list of fills may be asked for more subtypes (conversions, repayments), of which nobody says whether
  they come as fills: they are ``other`` here, which no profit counts.
* Between the funding account, the trading account and sub-accounts money is moved by transfers, of which each side has
  a bill. What was moved from one to the other of both so adds up to nothing.
* ``/asset/bills`` has a month of the funding account, by ``ts``. Deposits (1), withdrawals (2), their cancellation (13)
  and fee (221) have lists of their own.

Not documented: what most types mean beyond their names. Those are told as ``other`` with OKX's name. What is put into
an earning product and comes back is ``internal``: the owner's money elsewhere at OKX.

How the trading account's are read: asked without a type they are as many as trades, so they are read so from where they
were last read to their end, an hour before to be sure, and at the start a day back. The further past is asked for
transfers, funding and interest alone, and transfers again each time.
"""

import msgspec

from feeds.account_domain import Transfer, TransferKind
from feeds.accounts.okx.wire import FUNDING, TRADING, Amount, Id, Moment, amount_or_0, market_of, rows
from feeds.exchange import MarketIndex, Request

RECENT = "/api/v5/account/bills"
ARCHIVE = "/api/v5/account/bills-archive"

PAGE = 100
DAY_MS = 86_400_000
AGAIN_MS = 3_600_000
RECENT_MS = 7 * DAY_MS
SLACK_MS = 60_000
"""How much older than seven days what is asked from the recent bills may be: nothing of the minute is new there."""

MOVED = "1"
USUAL = (MOVED, "8", "7")

_TRADES = frozenset({"2", "5", "9", "13", "14", "24", "32"})
_DELIVERY, _FUNDING_FEE = "3", "8"
_NOT_TRADED = frozenset({"110", "111"})
"""Liquidation transfers: subtypes that move money with bills of liquidations."""

_TYPES: dict[str, tuple[TransferKind, str]] = {
    MOVED: ("internal", ""),
    "3": ("other", "Delivery"),
    "4": ("other", "Forced repayment"),
    "5": ("other", "Liquidation transfer"),
    "6": ("internal", "Margin transfer"),
    "7": ("interest", ""),
    "8": ("funding", ""),
    "10": ("other", "Clawback"),
    "11": ("other", "System token conversion"),
    "12": ("internal", "Strategy transfer"),
    "15": ("other", "Quick margin"),
    "16": ("other", "Borrowing"),
    "22": ("other", "Repay"),
    "26": ("internal", "Structured products"),
    "27": ("other", "Convert"),
    "28": ("other", "Easy convert"),
    "29": ("other", "One-click repay"),
    "30": ("other", "Simple trade"),
    "33": ("other", "Loans"),
    "34": ("other", "Settlement"),
    "250": ("fee", "Copy trader profit sharing expenses"),
    "251": ("fee", "Copy trader profit sharing refund"),
    "381": ("interest", "Auto earn"),
}
_SUBTYPES: dict[str, tuple[TransferKind, str]] = {
    "280": ("fee", "SPOT profit sharing expenses"),
    "281": ("fee", "SPOT profit sharing refund"),
    "282": ("income", "Spot profit share income"),
    **dict.fromkeys(("283", "284", "285", "286", "287"), ("internal", "Copy trading transfer")),
    "290": ("internal", "Crypto dust auto-transfer out"),
    "293": ("interest", "Fixed loan interest deduction"),
    "294": ("interest", "Fixed loan interest refund"),
    "295": ("interest", "Fixed loan overdue penalty"),
    "381": ("interest", "Auto earn"),
}
"""Those that say more than the type with which they come, which is not documented."""


class _Bill(msgspec.Struct):
    """``{"billId":"623950854533513219","ccy":"USDT","balChg":"0.0219","posBalChg":"0","pnl":"0","type":"8",
    "subType":"174","instType":"SWAP","instId":"BTC-USDT-SWAP","ts":"1695033476167"}``; of the funding account without
    ``subType``, market and ``pnl``."""

    billId: Id
    ccy: str
    balChg: Amount
    type: str
    ts: Moment
    subType: str = ""
    pnl: Amount = ""
    instType: str = ""
    instId: str = ""

    def of_trading(self, markets: MarketIndex) -> Transfer | None:
        if self.type in _TRADES and self.subType not in _NOT_TRADED:
            return None
        if self.type == _DELIVERY and self.instType == "SWAP" and not _inverse(self.instId):
            return None
        kind, note = _SUBTYPES.get(self.subType) or _TYPES.get(self.type) or ("other", f"type {self.type}")
        changed = amount_or_0(self.balChg)
        if not changed and self.type == _FUNDING_FEE:
            changed = amount_or_0(self.pnl)
        if not changed:
            return None
        market = market_of(markets, self.instType, self.instId) if self.instId else None
        if self.instId and market is None:
            note = f"{note} {self.instId}".strip()
        return Transfer(
            product=TRADING,
            id=self.billId,
            kind=kind,
            asset=self.ccy,
            amount=changed,
            symbol=market.symbol if market is not None else None,
            note=note,
            exchange_ms=int(self.ts),
        )

    def of_funding(self) -> Transfer | None:
        changed = amount_or_0(self.balChg)
        if self.type in _LISTED_APART or not changed:
            return None
        kind, note = _FUNDS.get(self.type, ("other", f"type {self.type}"))
        return Transfer(
            product=FUNDING,
            id=f"funding-{self.billId}",  # numbered apart
            kind=kind,
            asset=self.ccy,
            amount=changed,
            note=note,
            exchange_ms=int(self.ts),
        )


def _inverse(native: str) -> bool:
    """``BTC-USD-SWAP``: its fills are not read, as it is not listed here."""
    return "-USD-" in native


class TradingBills:
    """What is asked of the trading account's bills, and how far they were read. Times are the exchange's, in ms.

    ``host`` and ``weights`` (by path) as of all requests.
    """

    def __init__(self, markets: MarketIndex, host: str, weights: dict[str, int]) -> None:
        self._markets = markets
        self._host = host
        self._weights = weights
        self._read_ms: int | None = None  # up to here everything was read

    def requests(self, since_ms: int, now_ms: int) -> list[Request]:
        """``now_ms`` 0: the time is not known yet, so all bills are asked for."""
        if not now_ms:
            return [self._asked(since_ms, now_ms, None)]
        first = self._read_ms is None
        fresh_ms = now_ms - DAY_MS if self._read_ms is None else self._read_ms - AGAIN_MS
        asked = [self._asked(since_ms, now_ms, kind) for kind in (USUAL if first else (MOVED,))]
        return [*asked, self._asked(max(since_ms, fresh_ms), now_ms, None)]

    def _asked(self, begin_ms: int, now_ms: int, kind: str | None) -> Request:
        path = RECENT if now_ms and begin_ms >= now_ms - RECENT_MS - SLACK_MS else ARCHIVE
        params = (
            *((("type", kind),) if kind is not None else ()),
            ("begin", str(max(0, begin_ms - 1))),  # whether it is in it, nobody says
            ("limit", str(PAGE)),
        )
        return Request(path=path, params=params, product=self._host, about=TRADING, weight=self._weights[path])

    def parse(self, request: Request, raw: bytes, now_ms: int) -> list[Transfer]:
        bills = rows(raw, _Bill)
        told = [bill.of_trading(self._markets) for bill in bills]
        if len(bills) < PAGE and "type" not in dict(request.params):
            self._read_ms = now_ms
        return [transfer for transfer in told if transfer is not None]


def parse_funding_bills(raw: bytes) -> list[Transfer]:
    """``GET /api/v5/asset/bills``."""
    told = [bill.of_funding() for bill in rows(raw, _Bill)]
    return [transfer for transfer in told if transfer is not None]


_LISTED_APART = frozenset({"1", "2", "13", "221"})
_FUNDS: dict[str, tuple[TransferKind, str]] = {
    **dict.fromkeys(("20", "21", "22", "23", "130", "131"), ("internal", "")),
    "28": ("income", "Manually claimed Airdrop"),
    "47": ("other", "System reversal"),
    "48": ("income", "Event Reward"),
    "49": ("other", "Event Giveaway"),
    "68": ("income", "Fee rebate (by rebate card)"),
    "72": ("other", "Token received"),
    "73": ("other", "Token given away"),
    "74": ("other", "Token refunded"),
    "75": ("internal", "[Simple earn flexible] Subscription"),
    "76": ("internal", "[Simple earn flexible] Redemption"),
    "77": ("other", "Jumpstart distribute"),
    "78": ("internal", "Jumpstart lock up"),
    "80": ("internal", "DEFI/Staking subscription"),
    "82": ("internal", "DEFI/Staking redemption"),
    "83": ("income", "Staking yield"),
    "84": ("fee", "Violation fee"),
    "89": ("income", "Deposit yield"),
    **dict.fromkeys(("116", "117", "118"), ("other", "[Fiat] Order")),
    "124": ("internal", "Jumpstart unlocking"),
    "132": ("other", "[P2P] Frozen by customer service"),
    "133": ("other", "[P2P] Unfrozen by customer service"),
    "134": ("other", "[P2P] Transferred by customer service"),
    "135": ("other", "Cross chain exchange"),
    "137": ("internal", "[ETH Staking] Subscription"),
    "138": ("other", "[ETH Staking] Swapping"),
    "139": ("income", "[ETH Staking] Earnings"),
    "150": ("income", "Affiliate commission"),
    "151": ("income", "Referral reward"),
    "152": ("income", "Broker reward"),
    **dict.fromkeys(("160", "161", "163"), ("internal", "Dual Investment")),
    "162": ("income", "Dual Investment profit"),
    "172": ("income", "[Affiliate] Sub-affiliate commission"),
    "173": ("income", "[Affiliate] Fee rebate (by trading fee)"),
    **dict.fromkeys(("175", "177", "178", "180"), ("internal", "Loan collateral")),
    "176": ("other", "Loan"),
    "179": ("other", "Repayment"),
    "181": ("income", "Airdrop payment"),
    "189": ("income", "Mystery box bonus"),
    "200": ("other", "Buy"),
    **dict.fromkeys(("202", "203", "205"), ("internal", "Price Lock")),
    "204": ("income", "Price Lock Profit"),
    **dict.fromkeys(("207", "208", "210"), ("internal", "Dual Investment Lite")),
    "209": ("income", "Dual Investment Lite Profit"),
    **dict.fromkeys(("212", "215"), ("internal", "[Flexible loan] Collateral")),
    "217": ("other", "[Flexible loan] Borrowed"),
    "218": ("other", "[Flexible loan] Repaid"),
    "220": ("other", "Delisted crypto"),
    "222": ("other", "Withdrawal fee refund"),
    "223": ("income", "SWAP lead trading profit share"),
    **dict.fromkeys(("225", "226", "228"), ("internal", "Shark Fin")),
    "227": ("income", "Shark Fin profit"),
    "229": ("income", "Airdrop"),
    "232": ("income", "Subsidized interest received"),
    "233": ("income", "Broker rebate compensation"),
    **dict.fromkeys(("240", "241"), ("internal", "Snowball")),
    "242": ("income", "Snowball profit"),
    **dict.fromkeys(("249", "250", "252"), ("internal", "Seagull")),
    "251": ("income", "Seagull profit"),
    "263": ("other", "Strategy bots profit share"),
    "265": ("income", "Signal revenue"),
    "266": ("income", "SPOT lead trading profit share"),
    "271": ("income", "DCD broker rebate"),
    "272": ("other", "[Convert] Buy Crypto/Fiat"),
    "273": ("other", "[Convert] Sell Crypto/Fiat"),
    **dict.fromkeys(("284", "285", "286", "287", "288", "289"), ("internal", "[Custody] Transfer")),
    "299": ("income", "Affiliate recommendation commission"),
    "300": ("income", "Fee discount rebate"),
    "311": ("internal", "Crypto dust auto-transfer in"),
    "313": ("other", "Sent by gift"),
    "314": ("other", "Received from gift"),
    "315": ("other", "Refunded from gift"),
    "328": ("income", "[SOL staking] Reward"),
    "333": ("income", "Trial fund reward"),
    **dict.fromkeys(("339", "340", "341", "342"), ("internal", "[Simple Earn Fixed]")),
    "343": ("interest", "[Simple Earn Fixed] Interest"),
    "344": ("interest", "[Simple Earn Fixed] Compensatory interest"),
    "345": ("other", "[Institutional Loan] Principal repayment"),
    "346": ("interest", "[Institutional Loan] Interest repayment"),
    "347": ("interest", "[Institutional Loan] Overdue penalty"),
    **dict.fromkeys(("348", "349"), ("internal", "[BTC staking]")),
    "350": ("income", "[BTC staking] Earnings"),
    "351": ("other", "[Institutional Loan] Loan disbursement"),
    "354": ("income", "Copy and bot rewards"),
    "361": ("internal", "Deposit from closed sub-account"),
    "400": ("interest", "Auto earn interest (USDG earn)"),
}
