"""The matching engine: price-time priority, nothing created or lost, and changes that add up to the book."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.simulator.matching import MatchingEngine

orders = st.lists(
    st.one_of(
        st.tuples(
            st.just("limit"), st.booleans(), st.integers(95, 105), st.integers(1, 20), st.sampled_from([None, "A"])
        ),
        st.tuples(
            st.just("take"), st.booleans(), st.integers(95, 105), st.integers(1, 40), st.sampled_from([None, "A"])
        ),
        st.tuples(st.just("market"), st.booleans(), st.just(0), st.integers(1, 40), st.none()),
        st.tuples(st.just("cancel"), st.booleans(), st.integers(1, 60), st.just(1), st.none()),
    ),
    max_size=60,
)


class NaiveBook:
    """A list of orders; the best is searched anew every time."""

    def __init__(self):
        self.rows = []  # [id, buy, price, left, account]

    def place(self, number, kind, buy, price, size, account):
        trades = []
        while size:
            others = [
                row
                for row in self.rows
                if row[1] != buy and (kind == "market" or (row[2] <= price if buy else row[2] >= price))
            ]
            if not others:
                break
            first = min(others, key=lambda row: (row[2] if buy else -row[2], row[0]))
            if account is not None and first[4] == account:
                self.rows.remove(first)
                continue
            quantity = min(size, first[3])
            trades.append((first[0], first[2], quantity))
            size -= quantity
            first[3] -= quantity
            if not first[3]:
                self.rows.remove(first)
        if size and kind == "limit":
            self.rows.append([number, buy, price, size, account])
        return trades

    def levels(self, buy):
        totals = defaultdict(int)
        for _, side, price, left, _ in self.rows:
            if side == buy:
                totals[price] += left
        return sorted(totals.items(), reverse=buy)


@given(orders)
def test_matches_as_a_naive_book_does(rows):
    engine, naive, accounts = MatchingEngine(), NaiveBook(), {"A": object(), None: None}
    for kind, buy, price, size, account in rows:
        if kind == "cancel":
            engine.cancel(price)
            naive.rows = [row for row in naive.rows if row[0] != price]
            continue
        match = engine.place(buy, None if kind == "market" else price, size, accounts[account], rest=kind == "limit")
        expected = naive.place(match.order.id, kind, buy, price, size, account)
        assert [(e.maker.id, e.price, e.size) for e in match.executions] == expected
        executed = sum(execution.size for execution in match.executions)
        assert match.order.left == size - executed
        assert engine.bids.top(99) == naive.levels(True)
        assert engine.asks.top(99) == naive.levels(False)
        assert sum(order.left for order in engine.orders.values()) == sum(row[3] for row in naive.rows)


@given(orders, st.integers(1, 7))
def test_drained_changes_add_up_to_the_book(rows, every):
    engine = MatchingEngine(update_id=1000)
    held = {True: {}, False: {}}
    last = 1000
    for number, (kind, buy, price, size, _) in enumerate(rows):
        if kind == "cancel":
            engine.cancel(price)
        else:
            engine.place(buy, None if kind == "market" else price, size, rest=kind == "limit")
        if number % every:
            continue
        changes = engine.drain()
        if changes is None:
            assert engine.update_id == last
            continue
        assert (changes.before, changes.first, changes.last) == (last, last + 1, engine.update_id)
        last = changes.last
        for side, levels in ((True, changes.bids), (False, changes.asks)):
            for level_price, total in levels:
                held[side][level_price] = total
                if not total:
                    del held[side][level_price]
        assert held == {True: dict(engine.bids.top(99)), False: dict(engine.asks.top(99))}


def test_the_older_order_of_a_price_goes_first():
    engine = MatchingEngine()
    first = engine.place(False, 100, 5).order
    second = engine.place(False, 100, 5).order
    better = engine.place(False, 99, 1).order
    executions = engine.place(True, 100, 8, rest=False).executions
    assert [(e.maker, e.price, e.size) for e in executions] == [(better, 99, 1), (first, 100, 5), (second, 100, 2)]
    assert [e.id for e in executions] == [1, 2, 3]
    assert second.left == 3


def test_two_orders_of_one_account_never_trade_with_each_other():
    engine, account = MatchingEngine(), object()
    own = engine.place(False, 100, 5, account).order
    other = engine.place(False, 100, 5).order
    match = engine.place(True, 100, 3, account)
    assert match.expired == [own]
    assert [e.maker for e in match.executions] == [other]
    assert own.id not in engine.orders


def test_cost_is_what_taking_would_really_cost():
    engine, account = MatchingEngine(), object()
    engine.place(False, 100, 5)
    engine.place(False, 101, 5, account)
    engine.place(False, 102, 5)
    cost = engine.cost(True, 7, account)
    executions = engine.place(True, None, 7, account).executions
    assert cost == sum(e.price * e.size for e in executions) == 5 * 100 + 2 * 102


@pytest.mark.parametrize(("price", "size"), [(0, 1), (-1, 1), (100, 0)])
def test_refuses_orders_that_cannot_exist(price, size):
    with pytest.raises(ValueError, match="positive price and size"):
        MatchingEngine().place(True, price, size)
