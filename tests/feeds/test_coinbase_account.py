"""Coinbase's private side: tokens, what a key may do, answers by REST; also what is hard about them."""

import base64
import contextlib
import json
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from feeds.account import Credentials
from feeds.account_domain import Balance, Fill, Order, UnknownMarket
from feeds.accounts import REGISTRY
from feeds.accounts.coinbase import CoinbaseAccount
from feeds.accounts.coinbase.keys import Signer
from feeds.domain import Rejected
from feeds.errors import CredentialsError, ExchangeError, ParseError, RateLimited
from feeds.exchange import Request
from feeds.exchanges.coinbase import Coinbase
from tests.documented import Documented, because
from tests.feeds.coinbase_account import (
    ED25519,
    KEY,
    NAME,
    NOW_MS,
    account,
    answer,
    documented,
    fill_row,
    fills_answer,
    session,
)
from tests.shared import shared_file

NONCE = "00112233445566778899aabbccddeeff"
ACCOUNTS = "GET api.coinbase.com/api/v3/brokerage/accounts"
EC_KEY = ec.derive_private_key(int.from_bytes(bytes(range(1, 33)), "big"), ec.SECP256R1())


def pem(key, form=serialization.PrivateFormat.TraditionalOpenSSL):
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


PEM = pem(EC_KEY)


def part(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class TestTokens:
    """exchanges/coinbase.md section A7.1: both vectors, with and without ``uri``."""

    @pytest.mark.parametrize(
        ("secret", "uri", "signature"),
        [
            (
                ED25519,
                ACCOUNTS,
                "yNeox94kOXLCfMhuHAwh9VJvEVIqtrFFL_3ZTQSu4W5x74dseCIYChqMm1sA_HV7FKPAalDoaqmuRKDL46VnBg",
            ),
            (ED25519, None, "no096PEPIpyWVQJ8sgf5LgC6o74fST1DEymXlhqF_gLtYKO49-VNupBogvCeJx-mJORWvLRsorKNautagVkZDQ"),
            (PEM, ACCOUNTS, "H78zeI64UuQH8bPCucwHNbqn4xYZoOvBpFZC7PRFxnc97ScKSgT0MHsCLSJTRzsmdmHR0i7TGbAlCMTVFeEG7g"),
            (PEM, None, "YJvGD0CBbL7SUFx1gvMtcmOvOnDsaE8y5F8iifeGwJdob4yjNzctJQHOde4fAuR7E7hAbDxPeNtVjN7iiig_QA"),
        ],
    )
    def test_vectors(self, secret, uri, signature):
        token = Signer(NAME, secret).token(NOW_MS, uri, nonce=NONCE)
        assert token.split(".")[2] == signature

    def test_header_and_claims(self):
        header, claims, _ = Signer(NAME, ED25519).token(NOW_MS, ACCOUNTS, nonce=NONCE).split(".")
        assert part(header) == {"alg": "EdDSA", "kid": NAME, "nonce": NONCE, "typ": "JWT"}
        assert part(claims) == {
            "sub": NAME,
            "iss": "cdp",
            "nbf": 1700000000,
            "exp": 1700000120,
            "uri": ACCOUNTS,
        }

    def test_es256_is_good_by_the_public_key(self):
        text, _, signature = Signer(NAME, PEM).token(NOW_MS).rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        assert len(raw) == 64
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        EC_KEY.public_key().verify(der, text.encode(), ec.ECDSA(hashes.SHA256()))

    @pytest.mark.parametrize(
        "secret",
        [
            PEM.replace("\n", "\\n"),
            PEM.replace("\n", ""),
            PEM.replace("\n", " "),
            PEM.replace("\n", "\r\n"),
            f'"{PEM}"',
            f"  {PEM}  ",
            pem(EC_KEY, serialization.PrivateFormat.PKCS8),
        ],
        ids=["escaped", "one line", "spaces", "windows", "quoted", "padded", "pkcs8"],
    )
    def test_a_pem_that_went_through_forms_and_environments(self, secret):
        expected = Signer(NAME, PEM).token(NOW_MS, nonce=NONCE)
        assert Signer(NAME, secret).token(NOW_MS, nonce=NONCE) == expected

    @pytest.mark.parametrize(
        ("secret", "said"),
        [
            ("hunter2", "neither a private key in PEM form nor"),
            (PEM[:80], "is not whole"),
            (PEM.replace("M", "N", 1), "no private key that can be read"),
            (pem(ec.generate_private_key(ec.SECP384R1())), "another kind"),
            (pem(rsa.generate_private_key(65537, 2048)), "another kind"),
            (base64.b64encode(bytes(64)).decode(), "two halves"),
        ],
    )
    def test_what_is_no_key_is_refused_when_it_is_needed(self, secret, said):
        api = account(Credentials(NAME, secret))
        with pytest.raises(CredentialsError, match=said) as caught:
            api.sign(Request(path="/x"), NOW_MS)
        assert secret not in str(caught.value)
        assert not api.clock_error(caught.value)

    def test_each_request_has_a_token_of_its_own_for_its_path_without_query(self):
        api = account()
        [request] = api.balances_requests()
        tokens = []
        for _ in range(2):
            signed = api.sign(request, NOW_MS)
            assert signed.params == request.params
            [(name, value)] = signed.headers
            assert name == "Authorization"
            tokens.append(value.removeprefix("Bearer "))
        first, second = tokens
        assert part(first.split(".")[1])["uri"] == ACCOUNTS
        assert part(first.split(".")[0])["nonce"] != part(second.split(".")[0])["nonce"]

    def test_stream_subscriptions_have_tokens_without_uri(self):
        messages = [json.loads(text) for text in session().opening(NOW_MS)]
        assert [(m["type"], m["channel"]) for m in messages] == [("subscribe", "user"), ("subscribe", "heartbeats")]
        claims = part(messages[0]["jwt"].split(".")[1])
        assert claims == {"sub": NAME, "iss": "cdp", "nbf": 1700000000, "exp": 1700000120}


class TestKey:
    def test_registry(self):
        assert REGISTRY["coinbase"] is CoinbaseAccount

    def test_a_key_that_may_transfer_is_named_as_coinbase_names_it(self):
        rights = account().parse_rights(answer("Account/GetApiKeyInfo"))
        assert (rights.read, rights.trade, rights.withdraw, rights.withdraw_name) == (True, True, True, "can_transfer")

    def test_a_key_that_may_only_look(self):
        rights = account().parse_rights(b'{"can_view":true,"can_trade":false,"can_transfer":false}')
        assert (rights.read, rights.trade, rights.withdraw) == (True, False, False)
        assert account().parse_rights(b"{}").withdraw is None

    def test_clock(self):
        api = account()
        assert api.clocks() == ("private",)
        assert api.time_request("private").path == "/api/v3/brokerage/time"
        raw = b'{"iso":"2026-04-07T00:28:59Z","epochSeconds":"1775521739","epochMillis":"1775521739662"}'
        assert api.parse_time("private", raw) == 1775521739662
        with pytest.raises(ParseError):
            api.parse_time("private", b'{"epochMillis":"soon"}')

    def test_refusals(self):
        api, error_of = account(), Coinbase().error_of
        refused = error_of(401, b"Unauthorized", {})
        assert isinstance(refused, CredentialsError)
        assert api.clock_error(refused)  # measured anew and asked once more, then it is the key
        stream = api.refusal(Rejected(subscriptions=(), reason="authentication failure", code="authentication failure"))
        assert not isinstance(stream, CredentialsError)
        assert api.clock_error(stream)
        forbidden = error_of(403, b'{"error":"PERMISSION_DENIED","error_details":"","message":"no"}', {})
        assert isinstance(forbidden, ExchangeError)
        assert not isinstance(forbidden, CredentialsError)
        limited = error_of(429, b'{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}', {})
        assert isinstance(limited, RateLimited)

    def test_addresses(self):
        api = account()
        [route] = api.routes()
        assert api.url(route, None) == "wss://advanced-trade-ws-user.coinbase.com"
        assert (route.product, route.subjects, route.tells_fills) == ("private", ("spot",), False)
        mine = Coinbase({"spot.ws": "ws://h/ws", "spot.rest": "http://h/"}).endpoints
        assert (mine["private.ws"], mine["private.rest"]) == ("ws://h/ws", "http://h")

    def test_an_ordinary_plan_of_eight_accounts_stays_under_half_of_the_budgets(self):
        api = account()
        per_s = len(api.balances_requests()) / 5 + len(api.orders_requests()) / 60
        budget = Coinbase().budgets()["private"]
        assert 8 * per_s < budget.limit / budget.per_s / 2
        assert per_s * 3600 < 10_000 / 2  # of each key, by the other page

    def test_paths_are_the_documented_ones(self):
        api = account()
        asked = [
            *api.balances_requests(),
            *api.orders_requests(),
            api.rights_request(),
            api.fills_request("fills", None),
        ]
        names = ("Account/GetAccounts", "Trading/GetOrders", "Account/GetApiKeyInfo", "Trading/GetUserTrades")
        paths = {
            shared_file(f"fixtures/coinbase/Endpoints/AdvancedTrade/{name}.txt").read_text().splitlines()[1]
            for name in names
        }
        assert {request.path for request in asked} == paths
        assert {(request.product, request.subject) for request in asked} == {
            ("private", "spot"),
            ("private", "private"),
        }


class TestBalances:
    def parse(self, raw):
        api = account()
        return api.parse_balances(api.balances_requests()[0], raw, 7)

    def test_documented(self):
        assert self.parse(answer("Account/GetAccounts")) == [
            Balance(
                product="spot",
                asset="BTC",
                total=Decimal("2.46"),
                free=Decimal("1.23"),
                locked=Decimal("1.23"),
                asof_ms=7,
            )
        ]

    def test_wallets_of_one_asset_are_added_and_empty_ones_left_out(self):
        def wallet(asset, free, hold):
            amounts = {
                "available_balance": {"value": free, "currency": asset},
                "hold": {"value": hold, "currency": asset},
            }
            return documented("Account/GetAccounts", currency=asset, **amounts)

        rows = [wallet("BTC", "1", "0.5"), wallet("USD", "0.00", "0"), wallet("BTC", "0.00000001", "0")]
        found = self.parse(json.dumps({"accounts": rows}).encode())
        assert [(b.asset, b.total, b.free, b.locked) for b in found] == [
            ("BTC", Decimal("1.50000001"), Decimal("1.00000001"), Decimal("0.5"))
        ]

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999999", "", "x", None])
    def test_what_is_no_number_is_refused(self, value):
        row = documented("Account/GetAccounts", hold={"value": value, "currency": "BTC"})
        with pytest.raises(ParseError):
            self.parse(json.dumps({"accounts": [row]}).encode())

    def test_pages(self):
        api = account()
        [request] = api.balances_requests()
        following = api.next_page(request, b'{"accounts":[],"has_next":true,"cursor":"789100"}')
        assert dict(following.params) == {"limit": "250", "cursor": "789100"}
        assert api.next_page(following, b'{"accounts":[],"has_next":false,"cursor":"789100"}') is None
        with pytest.raises(ParseError, match="the page after this one"):
            api.next_page(following, b'{"accounts":[],"has_next":true,"cursor":"789100"}')


class TestOrders:
    def parse(self, *rows):
        api = account()
        return api.parse_orders(api.orders_requests()[0], json.dumps({"orders": rows}).encode())

    def test_documented(self):
        """The example names all kinds of configuration at once, and no side: that one is put in."""
        assert self.parse(documented("Trading/GetOrders", side="SELL")) == [
            Order(
                product="spot",
                symbol="BTC/USD",
                id="0000-000000-000000",
                client_id="11111-000000-000000",
                side="sell",
                type="unknown_order_type",
                price=Decimal("10000.00"),
                size=Decimal("0.001"),
                filled=Decimal("0.001"),
                average=Decimal(50),
                status="partial",
                created_ms=1622455199000,
                updated_ms=1622455199000,
            )
        ]

    def test_without_a_side_nothing_can_be_told(self):
        with pytest.raises(ParseError, match="side"):
            self.parse(documented("Trading/GetOrders"))

    def test_the_last_change_is_the_latest_that_is_told(self):
        row = documented("Trading/GetOrders", side="BUY", last_fill_time="2021-06-01T00:00:00.5Z")
        [order] = self.parse(row)
        assert (order.created_ms, order.updated_ms) == (1622455199000, 1622505600500)
        row["edit_history"] = [{"price": "1", "size": "1", "replace_accept_timestamp": "2021-06-01T00:00:01Z"}]
        assert self.parse(row)[0].updated_ms == 1622505601000
        assert self.parse({**row, "last_fill_time": None, "edit_history": []})[0].updated_ms == 1622455199000

    def test_open_limit(self):
        configuration = {"limit_limit_gtc": {"base_size": "0.01", "limit_price": "45000.00", "post_only": False}}
        row = documented("Trading/GetOrders", side="BUY", status="OPEN", order_configuration=configuration)
        row |= {"filled_size": "0", "average_filled_price": "0", "order_type": "LIMIT"}
        [order] = self.parse({**row, "time_in_force": "GOOD_UNTIL_CANCELLED"})
        assert (order.type, order.price, order.size, order.filled) == ("limit", Decimal(45000), Decimal("0.01"), 0)
        assert (order.average, order.status, order.time_in_force) == (None, "open", "GTC")

    def test_a_market_order_by_value_has_the_size_of_its_fills(self):
        configuration = {"market_market_ioc": {"quote_size": "10.00", "base_size": ""}}
        [order] = self.parse(documented("Trading/GetOrders", side="BUY", order_configuration=configuration))
        assert (order.size, order.price) == (Decimal("0.001"), None)

    def test_futures_are_another_product(self):
        assert self.parse(documented("Trading/GetOrders", side="BUY", product_id="BIT-28JUN24-CDE")) == []

    def test_every_state_that_is_open_is_asked_for(self):
        states = [dict(request.params)["order_status"] for request in account().orders_requests()]
        assert states == ["PENDING", "QUEUED", "OPEN"]


class TestFills:
    def test_documented(self):
        page = account().parse_fills("fills", None, answer("Trading/GetUserTrades"), NOW_MS)
        assert page.fills == [
            Fill(
                product="spot",
                symbol="BTC/USD",
                id="22222-2222222-22222222",
                order_id="0000-000000-000000",
                side="buy",
                price=Decimal("10000.00"),
                size=Decimal("0.001"),
                fee=Decimal("1.25"),
                fee_asset="USD",
                maker=None,
                exchange_ms=1622455199000,
            )
        ]
        assert (page.next, page.whole) == ("@789100", False)

    def test_size_in_quote_currency_and_maker(self):
        row = fill_row(1, 0, size="45", price="10000", size_in_quote=True, liquidity_indicator="MAKER")
        [fill] = account().parse_fills("fills", None, fills_answer([row]), NOW_MS).fills
        assert (fill.size, fill.maker) == (Decimal("0.0045"), True)

    def test_requests(self):
        api = account()
        assert dict(api.fills_request("fills", None).params) == {"limit": "100"}
        assert dict(api.fills_request("fills", "1700000060000").params) == {
            "limit": "100",
            "start_sequence_timestamp": "2023-11-14T22:13:20.000Z",
        }
        assert dict(api.fills_request("fills", "1700000060000@a@b").params)["cursor"] == "a@b"
        assert dict(api.fills_request("fills", "@789").params) == {"limit": "100", "cursor": "789"}

    def test_an_empty_page_ends_it_and_one_that_names_itself_is_refused(self):
        api = account()
        assert api.parse_fills("fills", "@7", fills_answer([], "8"), NOW_MS).next is None
        with pytest.raises(ParseError, match="is this one"):
            api.parse_fills("fills", "@7", fills_answer([fill_row(1, 0)], "7"), NOW_MS)

    def test_what_is_not_listed_is_told_and_futures_and_corrections_are_left_out(self):
        rows = [
            fill_row(1, 0, product_id="NEW-USD"),
            fill_row(2, 0, product_id="BTC-PERP-INTX"),
            fill_row(3, 0, trade_type="REVERSAL"),
            fill_row(4, 0, product_id="BTC-USDC"),
        ]
        page = account().parse_fills("fills", None, fills_answer(rows), NOW_MS)
        assert page.unlisted == (UnknownMarket(product="spot", native="NEW-USD"),)
        assert [(fill.id, fill.symbol, fill.fee_asset) for fill in page.fills] == [("entry-4", "BTC/USDC", "USDC")]

    @given(
        gaps=st.lists(st.sampled_from([0, 0, 1, 999, 70_000]), max_size=30),
        size=st.integers(1, 7),
        since=st.integers(0, 29),
    )
    def test_all_fills_once_whatever_the_page_and_equal_times(self, gaps, size, since):
        """Read from nothing, or from any fill as the cursor: everything after it is told, by walking the pages."""
        times = [sum(gaps[: number + 1]) for number in range(len(gaps))]
        told = [fill_row(number, ms) for number, ms in enumerate(times)]
        api = account()
        everything = self.walk(api, told, None, size)
        assert everything == [f"entry-{number}" for number in range(len(told))]
        if since < len(told):
            [fill] = api.parse_fills("fills", None, fills_answer([told[since]]), NOW_MS).fills
            later = self.walk(api, told, api.cursor_of(fill), size)
            assert later[-len(told) + since :] == everything[since:]
            assert len(set(later)) == len(later)

    def walk(self, api, told, cursor, size):
        """As Coinbase pages: newest first, not before the start."""
        found = []
        while cursor != "end":
            params = dict(api.fills_request("fills", cursor).params)
            start = params.get("start_sequence_timestamp", "")
            rows = [row for row in reversed(told) if row["sequence_timestamp"] >= start]
            at = int(params.get("cursor") or 0)
            following = str(at + size) if at + size < len(rows) else ""
            page = api.parse_fills("fills", cursor, fills_answer(rows[at : at + size], following), NOW_MS)
            assert page.whole is (page.next is None)
            found = [fill.id for fill in page.fills] + found
            cursor = page.next or "end"
        return found


UNUSED = {
    "futures, which are another product": {
        "Trading/ClosePosition",
        "Trading/GetPerpetualPosition",
        "Trading/GetFuturesPositions",
        "Account/AllocatePortfolio",
        "Account/GetFuturesBalanceSummary",
        "Account/GetFuturesCurrentMarginWindow",
        "Account/GetIntradayMarginSetting",
        "Account/GetPerpetualBalances",
        "Account/SetIntradayMarginSetting",
        "Account/SetPerpetualMultiAssetCollateralMode",
    },
    "orders are asked for as lists": {"Trading/GetOrder"},
    "orders are not changed, but cancelled and placed": {"Trading/EditOrder"},
    "portfolios: a key sees its own alone": {
        "Account/CreatePortfolio",
        "Account/DeletePortfolio",
        "Account/EditPortfolio",
        "Account/GetPortfolio",
        "Account/GetPortfolios",
        "Account/TransferPortfolioFunds",
    },
    "coins are not converted here": {
        "Account/CreateConvertQuote",
        "Account/CommitConvertTrade",
        "Account/GetConvertTrade",
    },
    "fees come with the fills": {"Account/GetFeeInfo", "Account/GetFeeInfo2"},
    "moves money, which is never asked for": {
        "Account/Deposit",
        "Account/Transfer",
        "Account/Withdraw",
        "Account/WithdrawCrypto",
        "Account/CreateDepositAddress",
    },
    "of the interface v2, of which the transactions of a wallet alone are asked": {
        "Account/GetAddressTransactions",
        "Account/GetDeposit",
        "Account/GetDepositAddress",
        "Account/GetDepositAddresses",
        "Account/GetDeposits",
        "Account/GetPaymentMethods",
        "Account/GetTransaction",
        "Account/GetWithdrawal",
        "Account/GetWithdrawals",
    },
}


READERS = {
    "Trading/GetOrders": lambda api, raw: api.parse_orders(api.orders_requests()[0], raw),
    "Trading/GetUserTrades": lambda api, raw: api.parse_fills("fills", None, raw, NOW_MS),
    "Account/GetAccounts": lambda api, raw: api.parse_balances(api.balances_requests()[0], raw, 1),
    "Account/GetApiKeyInfo": lambda api, raw: api.parse_rights(raw),
}


@given(data=st.data(), name=st.sampled_from(sorted(READERS)))
def test_damaged_answers_are_parse_errors(data, name):
    raw = bytearray(answer(name).replace(b'"side": ""', b'"side": "BUY"'))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not raw:
            return
    with contextlib.suppress(ParseError):
        READERS[name](account(), bytes(raw))


def test_the_key_is_shown_nowhere():
    assert KEY.secret not in repr(KEY)
    assert ED25519 not in repr(account()._signer)


DOCUMENTED = Documented(
    "coinbase",
    {
        "Endpoints/AdvancedTrade/Account/GetAccounts.txt": "TestBalances.test_documented",
        "Endpoints/AdvancedTrade/Account/GetApiKeyInfo.txt": (
            "TestKey.test_a_key_that_may_transfer_is_named_as_coinbase_names_it"
        ),
        "Endpoints/AdvancedTrade/Trading/GetOrders.txt": "TestOrders.test_documented",
        "Endpoints/AdvancedTrade/Trading/GetUserTrades.txt": "TestFills.test_documented",
    },
    because("Endpoints/AdvancedTrade/", UNUSED),
)
