"""What the benchmarks reckon with: a wrong yardstick would prove anything."""

from decimal import Decimal
from typing import Any

import pytest

from bench import ccxt, demo
from bench.accounts import DIFFERENT, EQUAL, Compared
from bench.ccxt_accounts import Cash
from bench.fault_runs import Outcome
from bench.faults import summary
from feeds.domain import StreamState

ONE, TWO, THREE = (1.0, 1.0, 2.0, 1.0), (1.5, 1.0, 2.0, 1.0), (1.6, 1.0, 2.0, 1.0)


class Clock:
    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(ccxt, "time", made)
    monkeypatch.setattr(demo, "time", made)
    return made


def test_a_book_of_ccxt_is_equal_if_it_was_or_becomes_ours_soon(clock: Clock) -> None:
    pair = ccxt.Pair("some", "spot", "BTC/USDT")
    pair.told_by_us(ONE)
    pair.told_by_them(ONE)
    pair.begin()
    clock.now_s += 0.1
    pair.told_by_them(TWO)  # before us
    clock.now_s += 0.3
    pair.told_by_us(TWO)
    assert (pair.compared, pair.equal, round(pair.longest_s, 3)) == (1, 1, 0.3)
    clock.now_s += 0.1
    pair.told_by_us(ONE)
    clock.now_s += 0.2
    pair.told_by_them(ONE)  # after us
    assert (pair.compared, pair.equal, round(pair.longest_s, 3)) == (2, 2, 0.3)


def test_a_book_that_was_never_ours_is_told(clock: Clock) -> None:
    pair = ccxt.Pair("okx", "spot", "BTC/USDT")
    pair.told_by_us(ONE)
    pair.told_by_them(ONE)
    pair.begin()
    pair.told_by_them(THREE)
    clock.now_s += ccxt.SLACK_S + 0.1
    pair.told_by_us(TWO)
    pair.told_by_them(ONE)  # was ours, but too long ago
    clock.now_s += 0.5
    pair.end()
    assert (pair.compared, pair.equal) == (2, 0)
    assert pair.unequal == [str(THREE), str(ONE)]
    assert pair.longest_s == pytest.approx(1.6)
    assert "not ours: (1.6," in ccxt.line(pair).remark


def test_what_ccxt_does_not_have_is_said() -> None:
    assert "has no lmex" in ccxt.why_not("lmex", "spot")
    assert all(not ccxt.why_not(name, p) for name, all_ in ccxt.MARKETS.items() for p in all_ if name != "lmex")


def test_figures_of_an_account_that_differ_lack_or_are_alone_are_told() -> None:
    held = Cash(Decimal("1.5"), Decimal("0.1") * 3, None)
    compared = Compared()
    compared.tables({"BTC": held, "ETH": held}, {"BTC": Cash(Decimal("1.5"), Decimal("0.3"), None)})
    row = compared.row("some", "fetch_balance")
    assert (row.verdict, row.figures, row.remark) == (DIFFERENT, 3, "ETH: ours alone has it")
    for told, remark in (
        (held._replace(total=Decimal("1.5000000001")), "BTC total: ours 1.5, ccxt 1.5000000001"),
        (held._replace(total=None), "ccxt does not tell total"),
        (held._replace(used=Decimal(0)), "ours does not tell used"),
    ):
        compared = Compared()
        compared.tables({"BTC": held}, {"BTC": told})
        row = compared.row("some", "fetch_balance")
        assert (row.verdict, row.remark) == (DIFFERENT if "ours 1.5" in remark else EQUAL, remark)


def streams(messages: int, resyncs: int, state: str = "LIVE", reason: str = "") -> dict[str, Any]:
    connection = {"exchange": "some", "route": "spot", "number": 1, "state": "LIVE", "reason": "", "not_understood": 0}
    market = {"exchange": "some", "symbol": "BTC/USD", "state": state, "reason": reason, "differences": 0}
    return {
        "topic": "streams",
        "data": {
            "connections": [{**connection, "messages": messages, "reconnects": 0}],
            "markets": [{**market, "resyncs": resyncs}],
        },
    }


def test_the_demo_counts_what_rose_and_names_the_trouble(clock: Clock) -> None:
    client = demo.Client()
    client.take(streams(100, 1))
    client.begin()
    client.take(streams(150, 1))
    client.take(streams(20, 2, "RESYNC", "The order book is being rebuilt."))  # a new connection began anew
    for state in ("LIVE", "RESYNC", "RESYNC", "LIVE"):
        client.take({"topic": "book:some:BTC/USD", "state": state, "sent_us": 100_000_000})
    assert client.told["messages"] == {"some spot 1": 70}
    assert client.told["resyncs"] == {"some:BTC/USD": 1}
    assert client.trouble == {("some:BTC/USD", "RESYNC"): 1}
    assert client.why == {("some:BTC/USD", "RESYNC"): "The order book is being rebuilt."}


def test_the_summary_of_faults_tells_who_did_not_come_back() -> None:
    live, down = StreamState.LIVE, StreamState.DOWN
    base = Outcome("cut", 20, [], 0.5, [1.25], 0.0, {"A": [(0.0, live)]}, {"A": ""}, 0, 0, 1, 0, 0)
    away = base._replace(
        fault="reject",
        outages=[float("inf")],
        states={"A": [(0.0, live), (1.0, down)]},
        reasons={"A": "It is refused."},
    )
    never = base._replace(fault="nosub", outages=[], states={"A": [(0.0, down)]}, wrong=["x"], reasons={"A": "No."})
    lines = summary({"Some": {"cut": base, "reject": away, "nosub": never}}).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["Some", "cut", "20", "0", "1.25", "s"],
        ["Some", "reject", "20", "0", "not", "It", "is", "refused."],
        ["Some", "nosub", "20", "1", "never", "live", "No."],
    ]
