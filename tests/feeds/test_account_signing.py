"""Binance's private side: signatures, the key's rights, where the streams are."""

import json
from urllib.parse import parse_qsl

import pytest

from feeds.account import Credentials
from feeds.accounts import REGISTRY
from feeds.accounts.binance import BinanceAccount
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError
from feeds.exchange import Request
from feeds.rest import encode
from tests.documented import Documented
from tests.feeds.binance_examples import KEY, NOW_MS, account, answer, route, spot_session
from tests.shared import shared_file


def test_registry():
    assert REGISTRY["binance"] is BinanceAccount


class TestSigning:
    """exchanges/binance.md section 7.1: five worked examples."""

    def test_1_signed_get(self):
        request = Request(path="/api/v3/account", params=(("omitZeroBalances", "true"),), product="spot")
        signed = account().sign(request, NOW_MS)
        assert encode(signed.params) == (
            "omitZeroBalances=true&recvWindow=5000&timestamp=1700000000000"
            "&signature=9e4f19fce5969bbeb2424148b96f77c8da5e16648235390a1eca9183146dfcce"
        )
        assert dict(signed.headers) == {"X-MBX-APIKEY": KEY.key}

    def test_2_signed_post(self):
        text = (
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=20000.00"
            "&newClientOrderId=my-order-1"
        )
        request = Request(path="/api/v3/order", method="POST", params=tuple(parse_qsl(text)), product="spot", body=True)
        signed = account().sign(request, NOW_MS)
        assert dict(signed.params)["signature"] == "a9e7d67aa33f74c6c3a7fdc06d43eb7bcaa863c7b7c78d3e9fea0b6a68b13196"
        assert signed.params[-1][0] == "signature"
        assert signed.body

    def test_3_query_and_body_are_joined_without_a_separator(self):
        payload = (
            "symbol=BTCUSDT"
            "side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=20000.00&recvWindow=5000&timestamp=1700000000000"
        )
        expected = "a624d5cef058dbda8d88d19cb0722bbd080be5a4a428cb68b760e5d6675ff73e"
        assert account().signature(payload) == expected

    def test_4_published_vector(self):
        secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
        payload = (
            "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
            "&timestamp=1499827319559"
        )
        expected = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
        assert account(credentials=Credentials("k", secret)).signature(payload) == expected

    def test_5_websocket_api(self):
        [message] = spot_session().opening(NOW_MS)
        assert json.loads(message) == {
            "id": 1,
            "method": "userDataStream.subscribe.signature",
            "params": {
                "apiKey": KEY.key,
                "recvWindow": 5000,
                "timestamp": NOW_MS,
                "signature": "ec758c04bc7dde56288f052a2c4e1f0761360e162847306f077589c34b2bf892",
            },
        }

    def test_signs_what_is_sent_also_where_it_must_be_encoded(self):
        request = Request(path="/api/v3/myTrades", params=(("symbol", "币安人生USDT"),), product="spot")
        api = account()
        sent = encode(api.sign(request, NOW_MS).params)
        payload, _, signature = sent.rpartition("&signature=")
        assert payload.startswith("symbol=%E5%B8%81")
        assert signature == api.signature(payload)

    def test_listen_key_needs_only_the_key(self):
        api = account()
        signed = api.sign(route(api, "usdm").token_request, NOW_MS)
        assert signed.params == ()
        assert dict(signed.headers) == {"X-MBX-APIKEY": KEY.key}


class TestKey:
    def test_repr_shows_no_secret(self):
        assert KEY.secret not in repr(KEY)
        assert KEY.key not in repr(KEY)

    def test_rights(self):
        rights = account().parse_rights(answer("Spot/Account/GetAPIKeyPermissions"))
        assert (rights.read, rights.trade, rights.withdraw) == (True, False, False)

    def test_rights_to_withdraw_are_named_as_binance_names_them(self):
        rights = account().parse_rights(b'{"enableReading": true, "enableWithdrawals": true, "enableFutures": true}')
        assert rights.withdraw is True
        assert rights.withdraw_name == "enableWithdrawals"
        assert rights.trade is True

    def test_rights_that_are_not_told_are_not_known(self):
        assert account().parse_rights(b"{}").withdraw is None

    def test_refusals(self):
        api = account()
        wrong_key = api.refusal(Rejected(subscriptions=(), reason="Invalid API-key.", code=-2015))
        assert isinstance(wrong_key, CredentialsError)
        busy = api.refusal(Rejected(subscriptions=(), reason="Too many.", code=-1003))
        assert type(busy) is ExchangeError
        assert api.clock_error(ExchangeError("late", -1021))
        assert not api.clock_error(busy)


class TestRoutes:
    def test_addresses(self):
        api = account()
        assert api.url(route(api, "spot"), None) == "wss://ws-api.binance.com:443/ws-api/v3"
        assert api.url(route(api, "usdm"), "a+b") == "wss://fstream.binance.com/private/ws?listenKey=a%2Bb"

    def test_listen_key(self):
        api = account()
        usdm = route(api, "usdm")
        assert (usdm.token_request.method, usdm.token_request.path) == ("POST", "/fapi/v1/listenKey")
        assert (usdm.renew_request.method, usdm.renew_s) == ("PUT", 1800)
        token = api.parse_token(usdm, answer("UsdFutures/Account/StartUserStream"))
        assert token == "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"

    def test_spot_needs_no_listen_key(self):
        assert route(account(), "spot").token_request is None

    @pytest.mark.parametrize("products", [("spot",), ("usdm",)])
    def test_only_the_products_of_the_account(self, products):
        api = account(products)
        assert [r.product for r in api.routes()] == list(products)
        requests = [
            *api.balances_requests(),
            *api.positions_requests(),
            *api.orders_requests(),
            *api.settings_requests(),
        ]
        assert {r.product for r in requests} == set(products)

    def test_paths_are_the_documented_ones(self):
        """Paths of the fixtures are those of the documentation."""
        api = account()
        paths = {r.path for r in (*api.balances_requests(), *api.positions_requests(), *api.orders_requests())}
        names = (
            "Spot/Account/GetAccountInfo",
            "Spot/Trading/GetOpenOrders",
            "UsdFutures/Account/GetBalances",
            "UsdFutures/Trading/GetPositions",
            "UsdFutures/Trading/GetOpenOrders",
            "UsdFutures/Trading/GetOpenConditionalOrders",
        )
        documented = {
            shared_file(f"fixtures/binance/Endpoints/{name}.txt").read_text().splitlines()[1].strip() for name in names
        }
        assert paths == documented


DOCUMENTED = Documented(
    "binance",
    {
        "Endpoints/Spot/Account/GetAPIKeyPermissions.txt": "test_rights",
        "Endpoints/UsdFutures/Account/StartUserStream.txt": "test_listen_key",
    },
)
