"""Coinbase's deposits and withdrawals: wallet by wallet, by the interface v2."""

import json
from decimal import Decimal
from typing import Any

import pytest

from feeds.account_domain import Transfer
from feeds.accounts.coinbase import CoinbaseAccount
from feeds.errors import ParseError
from feeds.exchange import Request
from tests.documented import Documented
from tests.feeds.coinbase_account import account, answer
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.test_coinbase_follower import followed

D = Decimal
DAY = "2026-08-0{}T00:00:00Z"


def row(number: int, **changes: Any) -> dict[str, Any]:
    told = {"id": f"t{number}", "type": "send", "status": "completed", "created_at": DAY.format(number % 9 + 1)}
    return {**told, "amount": {"amount": "1.5", "currency": "BTC"}, **changes}


def page(*rows: dict[str, Any], more: bool = False) -> bytes:
    return json.dumps({"pagination": {"next_uri": "/v2/..." if more else None}, "data": list(rows)}).encode()


def wallets(*names: str, held: str = "1", cursor: str = "", changed: str = DAY.format(9)) -> bytes:
    rows = [
        {"uuid": name, "currency": "BTC", "available_balance": {"value": held}, "hold": {"value": "0"}}
        | {"updated_at": changed}
        for name in names
    ]
    return json.dumps({"accounts": rows, "has_next": bool(cursor), "cursor": cursor}).encode()


def asked(request: Request | None) -> tuple[str, dict[str, str]]:
    assert request is not None and (request.product, request.method) == ("private", "GET")
    return request.path, {name: value for name, value in request.params if name not in ("limit", "order")}


class TestRows:
    def told(self, *rows: dict[str, Any]) -> list[Transfer]:
        request = Request(path="/v2/accounts/a/transactions", product="private", about="transfers")
        return account().parse_transfers(request, page(*rows))

    def test_documented(self) -> None:
        request = Request(path="/v2/accounts/a/transactions", product="private", about="transfers")
        moved, sent = account().parse_transfers(request, answer("Account/GetTransactions"))
        assert (moved.kind, moved.amount, moved.asset, moved.status) == ("internal", D(-5), "BTC", "done")
        assert sent == Transfer(
            product="spot",
            id="57ffb4ae-0c59-5430-bcd3-3f98f797a66c",
            kind="withdrawal",
            asset="BTC",
            amount=D("-0.001"),
            exchange_ms=1_426_104_815_000,
        )

    @pytest.mark.parametrize(
        ("kind", "amount", "meant"),
        [
            ("fiat_deposit", "10", "deposit"),
            ("fiat_withdrawal", "-10", "withdrawal"),
            ("send", "0.5", "deposit"),
            ("send", "-0.5", "withdrawal"),
            ("receive", "0.5", "deposit"),
            ("staking_transfer", "-0.5", "internal"),
            ("advanced_trade_fill", "-0.5", None),
            ("buy", "0.5", None),
            ("request", "0.5", None),
            ("something_new", "0.5", None),
        ],
    )
    def test_kinds(self, kind: str, amount: str, meant: str | None) -> None:
        told = self.told(row(1, type=kind, amount={"amount": amount, "currency": "BTC"}))
        assert [each.kind for each in told] == ([meant] if meant else [])

    @pytest.mark.parametrize(
        ("status", "meant"),
        [("completed", "done"), ("pending", "pending"), ("waiting_for_clearing", "pending"), ("failed", "failed")],
    )
    def test_statuses(self, status: str, meant: str) -> None:
        assert [each.status for each in self.told(row(1, status=status))] == [meant]

    def test_what_cannot_be_money(self) -> None:
        with pytest.raises(ParseError, match="amount"):
            self.told(row(1, amount={"amount": "much", "currency": "BTC"}))


class TestPages:
    def first(self, api: CoinbaseAccount, since_ms: int = 0) -> Request:
        [request] = api.transfers_requests(since_ms)
        assert asked(request) == ("/api/v3/brokerage/accounts", {})
        return request

    def test_all_wallets_then_all_rows_of_each(self) -> None:
        api = account()
        request = self.first(api)
        more = api.next_page(request, wallets("a", cursor="c1"))
        assert asked(more) == ("/api/v3/brokerage/accounts", {"cursor": "c1"})
        assert api.parse_transfers(request, wallets("a")) == []
        of_a = api.next_page(more, wallets("b"))
        assert asked(of_a) == ("/v2/accounts/a/transactions", {})
        older = api.next_page(of_a, page(row(2), row(1), more=True))
        assert asked(older) == ("/v2/accounts/a/transactions", {"starting_after": "t1"})
        of_b = api.next_page(older, page(row(0)))
        assert asked(of_b) == ("/v2/accounts/b/transactions", {})
        assert api.next_page(of_b, page()) is None

    def test_only_wallets_that_changed_are_asked_again(self) -> None:
        api = account()
        of_a = api.next_page(self.first(api), wallets("a", "b"))
        of_b = api.next_page(of_a, page())
        assert api.next_page(of_b, page()) is None
        assert api.next_page(self.first(api), wallets("a", "b")) is None
        changed = api.next_page(self.first(api), wallets("b", held="2"))
        assert asked(changed) == ("/v2/accounts/b/transactions", {})

    def test_a_wallet_that_was_not_read_to_its_end_is_asked_again(self) -> None:
        api = account()
        assert api.next_page(self.first(api), wallets("a")) is not None  # and no answer
        assert asked(api.next_page(self.first(api), wallets("a"))) == ("/v2/accounts/a/transactions", {})

    def test_empty_wallets_without_news_are_not_asked(self) -> None:
        since_ms = 1_785_801_600_000  # 2026-08-04
        old, new = DAY.format(1), DAY.format(9)
        assert account().next_page(self.first(account()), wallets("a", held="0", changed=new)) is not None
        api = account()
        assert api.next_page(self.first(api, since_ms), wallets("a", held="0", changed=old)) is None
        assert api.next_page(self.first(api, since_ms), wallets("a", held="0", changed=new)) is not None

    def test_it_goes_back_no_further_than_asked(self) -> None:
        api = account()
        of_a = api.next_page(self.first(api, 1_785_801_600_000), wallets("a"))
        assert api.next_page(of_a, page(row(8), row(0), more=True)) is None

    def test_a_page_that_follows_itself(self) -> None:
        api = account()
        of_a = api.next_page(self.first(api), wallets("a"))
        again = api.next_page(of_a, page(row(1), more=True))
        with pytest.raises(ParseError, match="is this one"):
            api.next_page(again, page(row(1), more=True))


async def test_what_came_and_went_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the simulated Coinbase: what the account was opened with, more than a page of trades, and what comes later."""
    monkeypatch.setattr("feeds.following.polls.SOON_S", 0.2)
    async with followed() as world:
        await world.live()
        true = world.account.movements

        def missing() -> set[tuple[str, D]]:
            wanted = {(moved.asset, moved.amount) for moved in true}
            return wanted - {(each.asset, each.amount) for each in world.store.transfers.values()}

        await until(lambda: not missing(), within_s=15, what="the opening transfers")
        assert {each.status for each in world.store.transfers.values()} == {"done"}
        await world.fills(130)
        world.account.desks["spot"].transfer("BTC", D("0.25"))
        world.account.desks["spot"].transfer("USD", D(-100))
        world.follower.polls.transfers_soon()
        await until(lambda: not missing(), within_s=20, what="what came and went since")
        assert len(world.store.transfers) == len(true)  # no trade among them
        kinds = {
            (each.asset, each.kind) for each in world.store.transfers.values() if abs(each.amount) in (D("0.25"), 100)
        }
        assert kinds >= {("BTC", "deposit"), ("USD", "withdrawal")}


DOCUMENTED = Documented(
    "coinbase", {"Endpoints/AdvancedTrade/Account/GetTransactions.txt": "TestRows.test_documented"}, {}
)
