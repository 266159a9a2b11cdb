"""An OKX account's private side for tests, and the exchange's documented examples of what it sends."""

import json
from decimal import Decimal

from feeds.account import AccountSpec, Credentials
from feeds.accounts.okx import OkxAccount
from feeds.domain import Market
from feeds.exchange import MarketIndex
from feeds.exchanges.okx import Okx
from tests.shared import shared_file

KEY = Credentials("DUMMY_KEY_0123456789abcdef", "DUMMY_SECRET_0123456789abcdef", "dummy-pass")
NOW_MS = 1_700_000_000_000


def market(native, contract="1", lot="0.00001"):
    base, quote, *swap = native.split("-")
    return Market(
        exchange="okx",
        symbol=f"{base}/{quote}:{quote}" if swap else f"{base}/{quote}",
        native=native,
        product="swap" if swap else "spot",
        base=base,
        quote=quote,
        settle=quote if swap else None,
        tick=Decimal("0.1"),
        lot=Decimal(lot),
        contract_size=Decimal(contract),
    )


MARKETS = MarketIndex(
    [
        *(market(native) for native in ("BTC-USDT", "ETH-USDT", "BTC-USDC")),
        market("BTC-USDT-SWAP", "0.01", "0.0001"),
        market("ETH-USDT-SWAP", "0.1", "0.001"),
    ]
)


def account(products=("spot", "swap"), credentials=KEY, markets=MARKETS) -> OkxAccount:
    spec = AccountSpec(id=1, exchange="okx", label="Main", credentials=credentials, products=products)
    return OkxAccount(spec, markets, Okx().endpoints)


def answer(name: str) -> bytes:
    """The documented answer of ``Account/GetAccountBalance`` and the like, as one line."""
    lines = shared_file(f"fixtures/okx/Endpoints/UnifiedApi/{name}.txt").read_text().splitlines()
    return json.dumps(json.loads("\n".join(lines[3:]))).encode()


def path(name: str) -> tuple[str, str]:
    """Method and path that the documentation gives for it."""
    lines = shared_file(f"fixtures/okx/Endpoints/UnifiedApi/{name}.txt").read_text().splitlines()
    return lines[0].strip(), lines[1].strip()


def frame(name: str) -> str:
    """The documented frame of ``Trading/Order`` and the like."""
    text = shared_file(f"fixtures/okx/Subscriptions/Unified/{name}.txt").read_text()
    told = text[text.index("\n=") + 2 :]
    return json.dumps(json.loads(told))


def rows(*told, code="0", msg="") -> bytes:
    return json.dumps({"code": code, "msg": msg, "data": list(told)}).encode()


POSITION = {
    **{"instType": "SWAP", "instId": "ETH-USDT-SWAP", "mgnMode": "isolated", "posId": "3084716306329329664"},
    **{"posSide": "long", "pos": "1", "avgPx": "3011", "markPx": "3010.54", "upl": "-0.0460000000000036"},
    **{"lever": "10", "liqPx": "2722.159673530889", "imr": "", "margin": "30.11", "ccy": "USDT"},
    **{"cTime": "1764434109835", "uTime": "1764434109835"},
}
ORDER = {
    **{"instType": "SWAP", "instId": "BTC-USDT-SWAP", "ordId": "2497956918703120384", "clOrdId": "001BTCUSDT"},
    **{"side": "buy", "posSide": "long", "tdMode": "isolated", "ordType": "market", "px": "", "sz": "0.03"},
    **{"state": "filled", "accFillSz": "0.03", "avgPx": "103698.9", "fillSz": "0.03", "fillPx": "103698.9"},
    **{"fillTime": "1746947317402", "tradeId": "1518905529", "execType": "M", "fillPnl": "0", "fillFee": "-0.0062"},
    **{"fillFeeCcy": "USDT", "fee": "-0.0062", "feeCcy": "USDT", "reduceOnly": "false", "tgtCcy": ""},
    **{"cTime": "1746947317401", "uTime": "1746947317402"},
}


def data(channel, *told, **more) -> str:
    return json.dumps({"arg": {"channel": channel, "uid": "1"}, **more, "data": list(told)})
