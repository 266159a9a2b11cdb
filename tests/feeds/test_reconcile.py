"""Do streams and REST agree? By hand, and by random histories."""

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from feeds.account import LISTED_MS
from feeds.account_domain import Balance, Fill, Order, Transfer
from feeds.following.checks import moved_by
from feeds.following.reconcile import LATE_MS, OrderCheck, Outcome
from feeds.following.wallet_check import ANY, HOLDS_MS, SETTLE_MS, BalanceCheck, Movement, movements
from feeds.following.wallet_check import LATE_MS as LAG_MS


def fill(number: int, at_ms: int, **fields) -> Fill:
    given = {
        "product": "spot",
        "symbol": "BTC/USDT",
        "id": str(number),
        "order_id": "1",
        "side": "buy",
        "price": Decimal(60000),
        "size": Decimal("0.1"),
        "fee": Decimal("0.0001"),
        "fee_asset": "BTC",
        "exchange_ms": at_ms,
    }
    return Fill(**{**given, **fields})


class Wallet:
    """A check, told and judged as a follower does it."""

    def __init__(self) -> None:
        self.check = BalanceCheck("spot")

    def restart(self) -> "Wallet":
        """Another process goes on with what this one has stored."""
        checked = self.check.checked()
        following = Wallet()
        if checked is not None:
            following.check.begin(checked)
        return following

    def moved(self, told: Fill) -> None:
        self.check.moved((told.symbol, told.id), movements(told, "BTC", "USDT", None))

    def answer(self, at_ms: int, *, until_ms: int | None = None, read: bool = True, **totals: str) -> Outcome:
        rows = [Balance(product="spot", asset=a, total=Decimal(t), asof_ms=at_ms) for a, t in totals.items()]
        end_ms = at_ms + 50 if until_ms is None else until_ms
        self.check.told(rows, at_ms, end_ms)
        return self.check.judge(end_ms + SETTLE_MS, read=read)


def begun() -> Wallet:
    wallet = Wallet()
    assert wallet.answer(1_000_000, BTC="1", USDT="10000") == Outcome()
    return wallet


NOTHING = Outcome()


def test_a_purchase_moves_both_sides_and_the_fee() -> None:
    told = movements(fill(1, 5), "BTC", "USDT", None)
    assert [(m.asset, m.amount) for m in told] == [
        ("BTC", Decimal("0.1")),
        ("USDT", Decimal("-6000.0")),
        ("BTC", Decimal("-0.0001")),
    ]


def test_a_contract_moves_its_profit_and_fee() -> None:
    told = movements(fill(1, 5, realised=Decimal(12), fee=Decimal(3), fee_asset="USDT"), "BTC", "USDT", "USDT")
    assert [(m.asset, m.amount) for m in told] == [("USDT", Decimal(12)), ("USDT", Decimal(-3))]


def test_a_balance_that_follows_from_its_fills() -> None:
    wallet = begun()
    wallet.moved(fill(1, 1_002_000))
    assert wallet.answer(1_005_000, BTC="1.0999", USDT="4000") == NOTHING
    assert wallet.answer(1_010_000, BTC="1.0999", USDT="4000") == NOTHING


def test_nothing_is_said_before_the_histories_are_read() -> None:
    wallet = begun()
    assert wallet.answer(1_005_000, read=False, BTC="2", USDT="10000") == NOTHING
    assert wallet.check.judge(1_005_050 + SETTLE_MS, read=True).read_again


def test_a_difference_is_looked_at_twice_and_then_named_with_both_figures() -> None:
    wallet = begun()
    first = wallet.answer(1_005_000, BTC="1", USDT="9999.5")
    assert first.read_again and not first.found
    wallet.check.named("FUNDING_FEE")
    (finding,) = wallet.answer(1_020_000, BTC="1", USDT="9999.5").found
    assert (finding.kind, finding.cause) == ("unexplained_balance", "balance:spot:USDT")
    assert (finding.expected, finding.found, finding.asof_ms) == ("10000", "9999.5", 1_020_000)
    assert finding.sentence.startswith("There is 0.5 USDT less (spot) than the last balance")
    assert finding.sentence.endswith("The exchange named FUNDING_FEE in that time.")


def test_an_answer_that_was_a_moment_late_is_nobodys_fault() -> None:
    wallet = begun()
    wallet.moved(fill(1, 1_002_000))
    assert wallet.answer(1_005_000, BTC="1", USDT="10000").read_again  # a copy of the database that is behind
    assert wallet.answer(1_020_000, BTC="1.0999", USDT="4000") == NOTHING


def test_one_notice_per_asset_that_adds_up() -> None:
    wallet = begun()
    for total, at_ms in (("9999", 1_005_000), ("9999", 1_020_000)):
        wallet.answer(at_ms, BTC="1", USDT=total)
    wallet.answer(1_040_000, BTC="1", USDT="9998")
    (finding,) = wallet.answer(1_060_000, BTC="1", USDT="9998").found
    assert (finding.expected, finding.found) == ("10000", "9998")


def test_what_is_told_late_explains_it() -> None:
    wallet = begun()
    wallet.answer(1_005_000, BTC="1.0999", USDT="4000")
    assert len(wallet.answer(1_020_000, BTC="1.0999", USDT="4000").found) == 2
    wallet.moved(fill(1, 1_002_000))
    wallet.answer(1_040_000, BTC="1.0999", USDT="4000")
    resolved = wallet.answer(1_060_000, BTC="1.0999", USDT="4000").resolved
    assert sorted(cause for cause, _ in resolved) == ["balance:spot:BTC", "balance:spot:USDT"]
    assert {sentence for _, sentence in resolved} == {"What was told later explains it."}


def test_it_holds_again_when_it_has_followed_long_enough() -> None:
    wallet = begun()
    for at_ms in (1_005_000, 1_020_000):
        wallet.answer(at_ms, BTC="1", USDT="9999")
    assert wallet.answer(1_040_000, BTC="1", USDT="9999") == NOTHING
    ((cause, _),) = wallet.answer(1_040_000 + HOLDS_MS, BTC="1", USDT="9999").resolved
    assert cause == "balance:spot:USDT"


def test_a_fill_at_the_answers_own_moment_may_be_in_it_or_not() -> None:
    for balances in ({"BTC": "1", "USDT": "10000"}, {"BTC": "1.0999", "USDT": "4000"}):
        wallet = begun()
        wallet.moved(fill(1, 1_005_020))
        assert wallet.answer(1_005_000, until_ms=1_005_040, **balances) == NOTHING
        assert wallet.answer(1_020_000, BTC="1.0999", USDT="4000") == NOTHING


def test_a_fee_that_is_not_told_yet_is_not_judged_and_a_fill_told_twice_counts_once() -> None:
    wallet = begun()
    wallet.moved(fill(1, 1_002_000, fee=None, fee_asset=None))
    wallet.moved(fill(1, 1_002_000))
    wallet.moved(fill(1, 1_002_000))
    assert wallet.answer(1_005_000, BTC="1.0999", USDT="4000") == NOTHING
    wallet.moved(fill(1, 1_002_000))
    wallet.moved(fill(2, 1_012_000, fee=None, fee_asset=None))
    assert wallet.answer(1_020_000, BTC="1.15", USDT="-2000") == NOTHING


def test_the_exchange_may_cut_the_ninth_decimal() -> None:
    wallet = begun()
    wallet.moved(fill(1, 1_002_000, price=Decimal("0.123456789"), fee=Decimal(0)))
    assert wallet.answer(1_005_000, BTC="1.1", USDT="9999.98765433") == NOTHING  # exactly ...9.9876543211


def transfer(amount: str, status: str = "done", **fields) -> Transfer:
    given = {"product": "spot", "id": "t1", "kind": "deposit" if amount[0] != "-" else "withdrawal", "asset": "USDT"}
    return Transfer(**{**given, "amount": Decimal(amount), "status": status, "exchange_ms": 1_002_000, **fields})


def test_transfers_explain_whenever_they_are_credited() -> None:
    wallet = begun()
    wallet.check.transferred(transfer("500", "pending"))
    assert wallet.answer(1_005_000, BTC="1", USDT="10000") == NOTHING
    wallet.check.transferred(transfer("500"))
    wallet.check.transferred(transfer("500"))
    assert wallet.answer(1_040_000, BTC="1", USDT="10500") == NOTHING
    wallet.check.transferred(transfer("-100", fee=Decimal(1)))
    assert wallet.answer(1_060_000, BTC="1", USDT="10399") == NOTHING
    wallet.check.transferred(transfer("500"))  # told again with every list: it is booked
    assert wallet.answer(1_080_000, BTC="1", USDT="10899").read_again


def test_a_transfer_that_is_told_after_the_notice_closes_it() -> None:
    wallet = begun()
    for at_ms in (1_005_000, 1_020_000):
        found = wallet.answer(at_ms, BTC="1", USDT="10500").found
    assert len(found) == 1
    wallet.check.transferred(transfer("500"))
    ((cause, sentence),) = wallet.answer(1_040_000, BTC="1", USDT="10500").resolved
    assert (cause, sentence) == ("balance:spot:USDT", "A transfer that was told later explains it.")


def funding(number: int, amount: str, at_ms: int = 1_002_000) -> Transfer:
    return transfer(amount, id=f"f{number}", kind="funding", product="usdm", exchange_ms=at_ms)


def test_funding_of_many_positions_explains_together() -> None:
    """More than any combination of could be tried, and beside what is still to come."""
    wallet = begun()
    for number in range(40):
        wallet.check.transferred(funding(number, f"-0.{number + 11}"))
    paid = sum((Decimal(f"0.{number + 11}") for number in range(40)), Decimal(0))
    assert wallet.answer(1_005_000, BTC="1", USDT=f"{10_000 - paid}") == NOTHING
    wallet.check.transferred(funding(41, "0.5", 1_030_000))
    wallet.check.transferred(funding(42, "0.25", 1_031_000))
    assert wallet.answer(1_032_000, BTC="1", USDT=f"{10_000 - paid}") == NOTHING  # not booked by the exchange yet
    assert wallet.answer(1_060_000, BTC="1", USDT=f"{10_000 - paid + Decimal('0.75')}") == NOTHING


def test_funding_explains_beside_fills_whose_products_are_cut() -> None:
    wallet = begun()
    wallet.moved(fill(1, 1_002_000, price=Decimal("0.123456789"), fee=Decimal(0)))
    wallet.check.transferred(funding(1, "-0.25"))
    assert wallet.answer(1_005_000, BTC="1.1", USDT="9999.73765433") == NOTHING  # exactly ...9.7376543211


def test_what_funding_does_not_explain_is_told() -> None:
    wallet = begun()
    wallet.check.transferred(funding(1, "-0.25"))
    assert wallet.answer(1_005_000, BTC="1", USDT="9999.74").read_again
    (found,) = wallet.answer(1_020_000, BTC="1", USDT="9999.74").found
    assert found.sentence.startswith("There is 0.26 USDT less")


def test_a_fill_that_turns_out_to_be_on_margin_moves_nothing() -> None:
    """What it did is told by the ledger."""
    wallet = begun()
    bought = fill(1, 1_002_000)
    wallet.moved(bought)
    wallet.check.moved((bought.symbol, bought.id), moved_by(msgspec.structs.replace(bought, margin=True)))
    wallet.check.transferred(transfer("-12.5", kind="income", note="margin"))
    assert wallet.answer(1_005_000, BTC="1", USDT="9987.5") == NOTHING


def test_what_trading_bots_do_is_not_judged() -> None:
    wallet = begun()
    row = Balance(product="spot", asset="USDT", total=Decimal(10_700), strategies=Decimal(700), asof_ms=1_005_000)
    btc = Balance(product="spot", asset="BTC", total=Decimal(1), asof_ms=1_005_000)
    wallet.check.told([row, btc], 1_005_000, 1_005_050)
    assert wallet.check.judge(1_005_050 + SETTLE_MS, read=True) == NOTHING


def test_an_answer_in_two_parts_with_a_fill_between_them_tells_nothing() -> None:
    """Cash was asked for before the fill, coins after it; the next answer is whole."""
    wallet = begun()
    told = {"BTC": "1.0999", "USDT": "10000"}
    rows = [Balance(product="spot", asset=a, total=Decimal(t), asof_ms=1_005_000) for a, t in told.items()]
    wallet.moved(fill(1, 1_005_020))
    wallet.check.told(rows, 1_005_000, 1_005_050, parts=2)
    assert wallet.check.judge(1_005_050 + SETTLE_MS, read=True) == NOTHING
    assert wallet.answer(1_020_000, BTC="1.0999", USDT="4000") == NOTHING
    wallet.check.told(rows, 1_040_000, 1_040_050, parts=2)  # no fill near: it counts
    assert wallet.check.judge(1_040_050 + SETTLE_MS, read=True).read_again


def test_what_is_traded_elsewhere_is_not_judged() -> None:
    """Of one asset, or of all where the exchange does not say which; the other assets are judged as ever."""
    wallet = begun()
    wallet.check.moved(("elsewhere", "1"), [Movement(at_ms=1_002_000, asset="USDT", amount=None)])
    assert wallet.answer(1_005_000, BTC="1", USDT="9000") == NOTHING
    wallet.check.moved(("elsewhere", "2"), [Movement(at_ms=1_022_000, asset="USDT", amount=None)])
    assert wallet.answer(1_025_000, BTC="2", USDT="8000").read_again
    (found,) = wallet.answer(1_040_000, BTC="2", USDT="8000").found
    assert found.cause == "balance:spot:BTC"
    wallet.check.moved(("elsewhere", "3"), [Movement(at_ms=1_042_000, asset=ANY, amount=None)])
    assert wallet.answer(1_045_000, BTC="3", USDT="7000", ETH="5") == NOTHING
    assert wallet.answer(1_065_000, BTC="3", USDT="7001", ETH="5").read_again


def test_a_notice_from_before_the_start_closes_too() -> None:
    wallet = Wallet()
    wallet.check.take_over(["balance:spot:USDT", "balance:usdm:USDT", "orders:spot"])
    wallet.answer(1_000_000, BTC="1", USDT="10000")
    assert wallet.answer(1_020_000, BTC="1", USDT="10000") == NOTHING
    outcome = wallet.answer(1_020_000 + HOLDS_MS, BTC="1", USDT="10000")
    assert [cause for cause, _ in outcome.resolved] == ["balance:spot:USDT"]


def test_what_happens_while_nobody_listens_is_held_against_the_balances() -> None:
    wallet = begun()
    wallet.moved(fill(1, 1_002_000))
    assert wallet.answer(1_005_000, BTC="1.0999", USDT="4000") == NOTHING
    away = wallet.restart()
    away.moved(fill(1, 1_002_000))  # told again by the store: it is in the balances
    away.moved(fill(2, 5_000_000))  # read by REST at the start
    assert away.answer(9_000_000, BTC="1.1998", USDT="-2000") == NOTHING
    gone = wallet.restart()
    gone.moved(fill(2, 5_000_000))
    assert gone.answer(9_000_000, BTC="1.1998", USDT="-2500").read_again
    (found,) = gone.answer(9_020_000, BTC="1.1998", USDT="-2500").found
    assert found.sentence.startswith("There is 500 USDT less (spot) than the last balance")
    assert "That balance is of 1970-01-01 00:16 UTC." in found.sentence


def test_a_fill_of_the_moment_of_the_last_answer_counts_once_over_a_stop() -> None:
    """The answer was made after the fill, or before it: the next process knows which."""
    for inside in (True, False):
        wallet = begun()
        wallet.moved(fill(1, 1_005_020))
        holding = {"BTC": "1.0999", "USDT": "4000"}
        told = holding if inside else {"BTC": "1", "USDT": "10000"}
        assert wallet.answer(1_005_000, **told) == NOTHING
        following = wallet.restart()
        following.moved(fill(1, 1_005_020))
        assert following.answer(1_030_000, **holding) == NOTHING


def test_a_transfer_is_not_used_twice_over_a_stop() -> None:
    wallet = begun()
    wallet.check.transferred(transfer("500"))
    assert wallet.answer(1_040_000, BTC="1", USDT="10500") == NOTHING
    following = wallet.restart()
    following.check.transferred(transfer("500"))
    assert following.answer(1_060_000, BTC="1", USDT="11000").read_again


steps = st.lists(st.tuples(st.integers(1, 400), st.integers(-5, 5)), min_size=1, max_size=30)


@given(steps, st.data())
def test_whatever_is_told_is_explained(told, data) -> None:
    """Movements at any times, answers at any times, each holding just what happened before it was made."""
    check = BalanceCheck("spot")
    check.told([Balance(product="spot", asset="X", total=Decimal(0), asof_ms=0)], 0, 0)
    now, total = 0, Decimal(0)
    for number, (wait, about) in enumerate(told):
        now += wait
        amount = Decimal(about)
        total += amount
        check.moved(number, [Movement(at_ms=now, asset="X", amount=amount)])
        if data.draw(st.booleans()):
            slack = data.draw(st.integers(0, 20))
            at_ms = max(0, now - slack)
            check.told([Balance(product="spot", asset="X", total=total, asof_ms=at_ms)], at_ms, now)
            assert check.judge(now + SETTLE_MS, read=True) == NOTHING


busy = st.lists(st.tuples(st.integers(1, 4000), st.integers(-5, 5), st.sampled_from("XY")), min_size=1, max_size=40)
"""Of an account that trades all the time: milliseconds since the last movement, amount and asset."""


@given(busy, st.data())
def test_answers_that_are_a_moment_late_are_nobodys_fault(told, data) -> None:
    """Also the first one, and with a stop at any time. Each answer lacks what happened just before it."""
    wallet, now, times = Wallet(), 100_000, []
    for number, (wait, amount, asset) in enumerate(told):
        now += wait
        times.append((now, asset, Decimal(amount), ("m", str(number))))
    asked_ms, shown_ms, told_until = 101_000, 0, 0
    while asked_ms < now + 20_000:
        shown_ms = max(shown_ms, asked_ms - data.draw(st.integers(0, LAG_MS - 1)))
        totals = {"X": Decimal(0), "Y": Decimal(0)}
        for at_ms, asset, amount, _ in times:
            if at_ms <= shown_ms:
                totals[asset] += amount
        rows = [Balance(product="spot", asset=a, total=t, asof_ms=asked_ms) for a, t in totals.items()]
        wallet.check.told(rows, asked_ms, asked_ms)
        for at_ms, asset, amount, key in times:
            if told_until < at_ms <= asked_ms + SETTLE_MS:
                wallet.check.moved(key, [Movement(at_ms=at_ms, asset=asset, amount=amount)])
        told_until = asked_ms + SETTLE_MS
        assert wallet.check.judge(asked_ms + SETTLE_MS, read=True) == NOTHING
        if data.draw(st.booleans()) and wallet.check.checked() is not None:
            wallet, told_until = wallet.restart(), 0  # the store tells all of it again
        asked_ms += data.draw(st.integers(500, 9_000))


def test_money_that_is_gone_is_found_however_busy_the_account_is() -> None:
    wallet = begun()
    for number in range(40):
        wallet.moved(fill(number, 1_000_500 + 500 * number))
    usdt = 10_000 - 6000 * 20
    told = {"BTC": str(1 + Decimal("0.0999") * 20), "USDT": str(usdt - 1)}
    assert wallet.answer(1_010_400, **told).read_again
    told = {"BTC": str(1 + Decimal("0.0999") * 38), "USDT": str(10_000 - 6000 * 38 - 1)}
    (found,) = wallet.answer(1_019_400, **told).found
    assert found.sentence.startswith("There is 1 USDT less (spot)")


def order(number: str, status: str = "open", updated_ms: int = 1000, **fields) -> Order:
    given = {"product": "spot", "symbol": "BTC/USDT", "id": number, "side": "buy", "type": "limit"}
    amounts = {"size": Decimal(1), "filled": Decimal(0)}
    return Order(**{**given, **amounts, "status": status, "updated_ms": updated_ms, **fields})


class TestOrders:
    def check(self) -> OrderCheck:
        return OrderCheck("spot")

    def test_an_end_that_the_stream_did_not_tell(self) -> None:
        check = self.check()
        check.streamed(order("1"))
        check.streamed(order("2"))
        assert check.told([order("2")], 9000) == NOTHING
        assert check.judge(9000 + LATE_MS - 1) == NOTHING
        (finding,) = check.judge(9000 + LATE_MS).found
        assert (finding.kind, finding.cause, finding.count) == ("lost_order", "orders:spot", 1)
        assert "1 open order no longer" in finding.sentence and "BTC/USDT 1" in finding.sentence
        assert check.judge(10_000 + 2 * LATE_MS) == NOTHING  # once
        assert check.told([order("2")], 70_000).resolved == [
            ("orders:spot", "Streams and REST list the same open orders again.")
        ]

    def test_a_list_that_was_made_before_the_end_and_answered_after_it(self) -> None:
        check = self.check()
        check.streamed(order("1"))
        check.streamed(order("1", "filled", 9010))
        check.told([order("1")], 9000)
        check.streamed(order("1", updated_ms=9005))  # nor does news that is late open it again
        check.told([], 70_000)
        assert check.judge(70_000 + LATE_MS) == NOTHING

    def test_an_end_that_is_a_moment_late(self) -> None:
        check = self.check()
        check.streamed(order("1"))
        check.told([], 9000)
        check.streamed(order("1", "filled", 8900))
        assert check.judge(9000 + LATE_MS) == NOTHING

    def test_an_order_that_is_younger_than_the_list_can_know(self) -> None:
        """The list is made from a copy that is a moment late."""
        check = self.check()
        check.streamed(order("1", updated_ms=9000 - LISTED_MS + 1))
        check.told([], 9000)
        assert check.judge(9000 + LATE_MS) == NOTHING
        check.told([], 70_000)
        assert check.judge(70_000 + LATE_MS).found
