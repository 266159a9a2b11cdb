"""Which transfers are each other's other side."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from feeds.account_domain import Transfer
from feeds.worth.moves import NEAR_MS, from_outside


def move(product: str, amount: str, at_ms: int = 0, kind: str = "internal", asset: str = "USDT") -> Transfer:
    name = f"{product} {amount} {at_ms}"
    return Transfer(product=product, id=name, kind=kind, asset=asset, amount=Decimal(amount), exchange_ms=at_ms)


def left(*moves: Transfer) -> list[str]:
    return [one.id for one in from_outside(moves, lambda one: one.product)]


def test_two_sides_of_one_transfer_are_nothing_from_outside() -> None:
    assert left(move("spot", "-5.0", 10), move("futures", "5", 400)) == []


def test_what_has_no_other_side_is() -> None:
    alone = move("unified", "100", 10)
    assert left(alone) == [alone.id]
    for other in (
        move("funding", "-99", 10),
        move("funding", "100", 10),
        move("funding", "-100", 11 + NEAR_MS),
        move("funding", "-100", 10, asset="USDC"),
        move("funding", "-100", 10, kind="withdrawal"),
        move("unified", "-100", 10),  # back again
    ):
        assert left(alone, other) == [alone.id, other.id]


def test_each_side_is_the_other_of_one_alone_the_nearest() -> None:
    gone, came, again = move("spot", "-5", 1000), move("futures", "5", 1000), move("futures", "5", 90_000)
    assert left(again, gone, came) == [again.id]
    assert left(again, gone, came, move("spot", "-5", 200_000)) == []


def test_deposits_and_withdrawals_stay() -> None:
    told = move("spot", "-5", 1, kind="withdrawal"), move("futures", "5", 1, kind="deposit")
    assert left(*told) == [one.id for one in told]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(("1", "-1", "2", "-2")), st.integers(0, 9)), max_size=9)
)
def test_pairs_add_up_to_nothing_and_keep_the_order(rows: list[tuple[str, str, int]]) -> None:
    told = [move(product, amount, at * 60_000) for product, amount, at in rows]
    kept = from_outside(told, lambda one: one.product)
    assert sum(one.amount for one in kept) == sum(one.amount for one in told)
    assert (len(told) - len(kept)) % 2 == 0
    places = [next(at for at, one in enumerate(told) if one is each) for each in kept]
    assert places == sorted(set(places))
