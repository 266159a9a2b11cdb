"""Binance's deposits and withdrawals: its documented answers, broken ones, and the simulator's over real sockets."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.accounts.binance import capital
from feeds.errors import ParseError
from tests.documented import Documented
from tests.feeds.binance_examples import NOW_MS, account, answer
from tests.feeds.peer import until
from tests.feeds.test_follower_simulator import followed


def test_the_documented_deposits() -> None:
    first, second = capital.parse_deposits(answer("Spot/Account/GetDepositHistory"))
    assert (first.kind, first.id, first.asset, str(first.amount)) == ("deposit", "769800519366885376", "BNB", "0.001")
    assert (first.status, first.exchange_ms, first.product, first.fee) == ("pending", 1661493146000, "spot", None)
    assert (second.asset, str(second.amount), second.status) == ("IOTA", "0.50000000", "done")
    assert (second.id, second.exchange_ms, second.product) == ("769754833590042625", 1599620082000, "spot")


def test_the_documented_withdrawals() -> None:
    first, second = capital.parse_withdrawals(answer("Spot/Account/GetWithdrawalHistory"))
    assert (first.kind, first.id, first.asset) == ("withdrawal", "b6ae22b3aa844210a7041aee7589627c", "USDT")
    assert (str(first.amount), str(first.fee), first.status) == ("-8.91000000", "0.004", "done")
    assert (first.exchange_ms, first.product) == (1570878722000, "funding")  # 2019-10-12 11:12:02 UTC
    assert (str(second.amount), str(second.fee), second.status) == ("-0.00150000", "0.004", "done")
    assert (second.exchange_ms, second.product) == (1569329025000, "funding")


STATUSES = [
    (0, "pending", "pending"),
    (1, "done", "failed"),
    (2, "failed", "pending"),
    (3, "pending", "failed"),
    (4, "pending", "pending"),
    (5, "pending", "failed"),
    (6, "done", "done"),
    (7, "failed", "pending"),
]


@pytest.mark.parametrize(("status", "deposit", "withdrawal"), STATUSES)
def test_every_status(status: int, deposit: str, withdrawal: str) -> None:
    came = f'[{{"amount":"1","coin":"A","status":{status},"insertTime":5,"txId":"t"}}]'
    went = f'[{{"id":"1","amount":"1","coin":"A","status":{status},"applyTime":"2020-01-01 00:00:00"}}]'
    (told,) = capital.parse_deposits(came.encode())
    assert (told.status, told.id) == (deposit, "t")
    assert capital.parse_withdrawals(went.encode())[0].status == withdrawal


def test_what_is_asked() -> None:
    requests = account(products=("spot",)).transfers_requests(NOW_MS)
    assert [r.path for r in requests] == ["/sapi/v1/capital/deposit/hisrec", "/sapi/v1/capital/withdraw/history"]
    assert all(dict(r.params) == {"startTime": str(NOW_MS), "limit": "1000"} for r in requests)
    assert account().transfers_requests(NOW_MS)[:2] == requests


@given(st.data())
def test_broken_answers_raise_nothing_but_parse_errors(data: st.DataObject) -> None:
    for name, parse in (
        ("Spot/Account/GetDepositHistory", capital.parse_deposits),
        ("Spot/Account/GetWithdrawalHistory", capital.parse_withdrawals),
    ):
        raw = bytearray(answer(name))
        for _ in range(data.draw(st.integers(1, 4))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(ParseError):
            parse(bytes(raw))


async def test_the_simulated_ones_are_stored() -> None:
    async with followed() as world:
        await world.live()
        for amount in ("250.5", "-100"):
            wanted = {"account": "test", "product": "spot", "asset": "USDT", "amount": amount}
            await world.client.post("/__sim/transfer", wanted)
        await world.fills(3)

        def told() -> set[tuple[str, str, str, str]]:
            return {(t.kind, str(t.amount), t.asset, t.status) for t in world.store.transfers.values()}

        both = {("deposit", "250.5", "USDT", "done"), ("withdrawal", "-100", "USDT", "done")}
        await until(lambda: told() >= both, within_s=20, what="both transfers")
        opening = world.client.server.accounts["binance"].by_name["test"].movements[:-2]
        own = {t for t in told() if t[0] in ("deposit", "withdrawal")}
        assert len(own - both) == sum(row.wallet == "spot" for row in opening)  # it was paid in before
        await world.must_agree()
        assert world.store.findings == {}


DOCUMENTED = Documented(
    "binance",
    {
        "Endpoints/Spot/Account/GetDepositHistory.txt": "test_the_documented_deposits",
        "Endpoints/Spot/Account/GetWithdrawalHistory.txt": "test_the_documented_withdrawals",
    },
)
