"""Isolated margin, end to end: what the page tells of a position's margin and its distance to liquidation."""

from decimal import Decimal

import pytest

from feeds.account_domain import Position
from feeds.simulator.wallets import MAINTENANCE
from feeds.worth.risk import liquidation_distance
from tests.feeds.peer import no_task_left, until  # noqa: F401 - a fixture
from tests.feeds.test_hedge_mode import PERP, PLACES, Place, World, world

D = Decimal
LEVERAGE = 10


async def isolate(at: World) -> None:
    """By the documented call; at OKX each order says it."""
    params = {"mgnMode": "isolated"} if at.place.name == "okx" else {}
    if at.place.name != "okx":
        await at.peer.set_margin_mode("isolated", PERP)
    await at.peer.set_leverage(LEVERAGE, PERP, params)
    for request in at.settings:
        at.follower.polls.read_again(request.subject)


def stored(at: World, mode: str = "isolated") -> Position | None:
    """At OKX an isolated position stands beside a crossed one."""
    apart = ("isolated",) if (at.place.name, mode) == ("okx", "isolated") else ()
    return at.store.positions.get((PERP, "both", *apart))


async def told(at: World, size: str, mode: str = "isolated") -> Position:
    """The stored position, once REST has told all of it, and the settings of the account are read again."""

    def there() -> bool:
        known = stored(at, mode)
        if known is None or known.size != D(size) or known.margin_mode != mode:
            return False
        return known.liquidation is not None and known.margin is not None

    await until(there, within_s=20.0, what=f"a position of {size} with margin and liquidation")
    known = stored(at, mode)
    assert known is not None
    return known


@pytest.mark.parametrize("place", PLACES, ids=[each.name for each in PLACES])
async def test_an_isolated_position_stands_on_its_own_margin(place: Place) -> None:
    async with world(place) as at:
        await isolate(at)
        unit = D(str(at.peer.market(PERP)["contractSize"]))
        isolated = {"marginMode": "isolated"} if place.name == "okx" else {}
        await at.peer.create_order(PERP, "market", "buy", float(D("0.06") / unit), None, isolated)
        first = await told(at, "0.06")
        assert first.leverage == LEVERAGE and first.margin is not None and first.liquidation is not None
        assert first.margin == pytest.approx(first.entry * first.size / LEVERAGE, rel=D("1e-6"))
        # where what was set aside is worth the maintenance margin: nothing else of the account counts
        alone = (first.entry - first.margin / first.size) / (1 - MAINTENANCE)
        assert first.liquidation == pytest.approx(alone, rel=D("1e-6"))
        away = D(liquidation_distance(first.size, first.entry, first.liquidation) or 0)
        assert away == pytest.approx(1 - (1 - D(1) / LEVERAGE) / (1 - MAINTENANCE), abs=D("1e-5"))

        # Ours, in the mode of the position that is there: half of it goes, and half of the margin.
        assert (await at.order("sell", "0.03", reduce_only=True)).state == "placed"
        half = await told(at, "0.03")
        assert half.margin is not None
        assert half.margin == pytest.approx(first.margin / 2, rel=D("1e-6"))
        assert half.liquidation == pytest.approx(first.liquidation, rel=D("1e-6"))

        # Money that comes makes an isolated position no safer.
        at.desk.transfer("USDT", D(100_000))
        polled = (await told(at, "0.03")).asof_ms
        await until(lambda: stored(at).asof_ms > polled + 1000, what="later positions")
        assert (await told(at, "0.03")).liquidation == half.liquidation


async def test_a_cross_position_falls_with_the_account() -> None:
    """The same size on cross margin: the whole balance stands behind it."""
    async with world(PLACES[0]) as at:
        assert (await at.order("sell", "0.5")).state == "placed"
        first = await told(at, "-0.5", "cross")
        true = at.wallet.position(at.market)
        assert first.liquidation == at.wallet.liquidation_price(true)
        assert first.margin == pytest.approx(
            -first.size * first.entry / at.wallet.leverage_of(at.market), rel=D("0.01")
        )
        at.desk.transfer("USDT", D(10_000))
        await until(lambda: stored(at, "cross").liquidation != first.liquidation, what="another price")
        later = stored(at, "cross").liquidation
        assert first.liquidation is not None and later is not None
        assert later - first.liquidation == pytest.approx(D(10_000) / (D("0.5") * (1 + MAINTENANCE)), rel=D("1e-6"))
