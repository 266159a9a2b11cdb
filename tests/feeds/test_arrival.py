"""A market on its way to another connection: no print is missing between the two, none comes twice."""

from decimal import Decimal
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from feeds.domain import Ticker, Trade
from feeds.markets.arrival import KEPT, Arrival
from feeds.sync import BookSync
from tests.feeds.test_market import Stage


def trade(number: int, *, at_ms: int | None = None) -> Trade:
    return Trade(
        symbol="BTC/USDT",
        id=str(number),
        price=Decimal(100),
        size=Decimal(1),
        side=None,
        exchange_ms=number if at_ms is None else at_ms,
    )


def arriving() -> tuple[Stage, Arrival]:
    stage = Stage()
    stage.live()
    host = SimpleNamespace(venue=SimpleNamespace(new_sync=lambda market: BookSync(from_rest=True)), own_ids=False)
    return stage, Arrival(host, stage.feed)


def shown(stage: Stage) -> list[str]:
    return [row["id"] for row in reversed(stage.trades().data["trades"])]


def test_what_the_new_connection_told_first_must_have_been_told_by_the_old_one() -> None:
    stage, arrival = arriving()
    stage.feed.on_trade(trade(1), 1)
    assert arrival.overlaps, "nothing has been told there"
    arrival.take(trade(4), 4)
    assert not arrival.overlaps, "2 and 3 may be on their way"
    for number in (2, 3):
        stage.feed.on_trade(trade(number), number)
        assert not arrival.overlaps
    stage.feed.on_trade(trade(4), 4)
    assert arrival.overlaps


def test_a_later_print_of_the_old_connection_serves_as_well() -> None:
    stage, arrival = arriving()
    arrival.take(trade(4), 4)
    stage.feed.on_trade(trade(6), 6)
    assert arrival.overlaps
    stage, arrival = arriving()
    arrival.take(trade(4), 4)
    stage.feed.on_trade(trade(3, at_ms=4), 5)
    assert not arrival.overlaps, "of the same moment, and perhaps before it"


def test_prints_are_kept_however_many_prices_come_beside_them() -> None:
    _, arrival = arriving()
    arrival.take(trade(1), 1)
    for number in range(2 * KEPT):
        arrival.take(Ticker(symbol="BTC/USDT", last=Decimal(number), exchange_ms=number), 2 + number)
    kept = [event for event, _ in arrival.news()]
    assert kept[0] == trade(1)
    assert len(kept) == KEPT + 1


@given(
    old=st.integers(1, 30),
    begins=st.integers(1, 30),
    told=st.integers(0, 30),
)
def test_after_the_change_every_print_is_there_once(old: int, begins: int, told: int) -> None:
    """The old connection told 1 to ``old``, the new one from ``begins`` on."""
    stage, arrival = arriving()
    for number in range(1, old + 1):
        stage.feed.on_trade(trade(number), number)
    for number in range(begins, begins + told):
        arrival.take(trade(number), number)
    if not arrival.overlaps:
        assert begins > old
        return
    for event, recv_ns in arrival.news():
        stage.feed.on_trade(event, recv_ns)
    last = max(old, begins + told - 1) if told else old
    assert shown(stage) == [str(number) for number in range(1, last + 1)][-50:]
