"""Average cost and realised profit, by hand."""

from decimal import Decimal

from feeds.account_domain import Fill, Transfer
from feeds.worth.cost import CostBook


def book(*events) -> CostBook:
    made = CostBook()
    for number, event in enumerate(events, 1):
        if isinstance(event, Transfer):
            made.transfer(event)
        else:
            made.fill(event, number)
    return made


def fill(side: str, size: str, price: str, fee: str | None = "0", fee_asset: str | None = "USDT", **fields) -> Fill:
    given = {"product": "spot", "symbol": "BTC/USDT", "id": "1", "order_id": "1", "exchange_ms": 1000}
    amounts = {"size": Decimal(size), "price": Decimal(price), "fee": None if fee is None else Decimal(fee)}
    return Fill(**{**given, "side": side, **amounts, "fee_asset": fee_asset, **fields})


def lots(made: CostBook) -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (lot.asset, lot.currency): (f"{lot.size.normalize():f}", f"{lot.average.normalize():f}") for lot in made.lots()
    }


def uncosted(made: CostBook) -> list[tuple[str, str, str]]:
    return [(sale.asset, sale.currency, f"{sale.size.normalize():f}") for sale in made.uncosted]


def profits(made: CostBook) -> list[tuple[str, str]]:
    return [(profit.asset, f"{profit.amount.normalize():f}") for profit in made.profits]


def test_the_average_of_two_purchases_with_their_fees() -> None:
    made = book(fill("buy", "1", "100", "2"), fill("buy", "1", "200", "2"))
    assert lots(made) == {("BTC", "USDT"): ("2", "152")}


def test_a_sale_realises_against_the_average_and_leaves_it() -> None:
    made = book(fill("buy", "2", "100"), fill("sell", "0.5", "140", "1"))
    assert lots(made) == {("BTC", "USDT"): ("1.5", "100")}
    assert profits(made) == [("USDT", "19")]  # 70 - 1 - 50


def test_a_fee_in_the_coin_bought_makes_the_rest_dearer() -> None:
    assert lots(book(fill("buy", "1", "99", "0.01", "BTC"))) == {("BTC", "USDT"): ("0.99", "100")}


def test_a_fee_in_a_third_coin_shrinks_that_coin() -> None:
    bnb = fill("buy", "2", "600", symbol="BNB/USDT")
    made = book(bnb, fill("buy", "1", "100", "0.5", "BNB"))
    assert lots(made) == {("BNB", "USDT"): ("1.5", "600"), ("BTC", "USDT"): ("1", "100")}
    assert made.fees_elsewhere == {"BNB": Decimal("0.5")}
    assert profits(made) == [("BNB", "-0.5")]


def test_lots_in_different_currencies_stay_apart() -> None:
    made = book(fill("buy", "1", "100"), fill("buy", "1", "90", "0", "EUR", symbol="BTC/EUR"))
    assert lots(made) == {("BTC", "EUR"): ("1", "90"), ("BTC", "USDT"): ("1", "100")}
    made.fill(fill("sell", "1.5", "120"), 3)
    assert lots(made) == {("BTC", "EUR"): ("0.5", "90")}
    assert profits(made) == [("USDT", "20")]  # of the one that was bought with USDT; of the half nothing can be said
    assert uncosted(made) == [("BTC", "USDT", "0.5")]


def test_what_was_never_bought_here_has_no_cost() -> None:
    made = book(fill("sell", "1", "120"))
    assert (lots(made), profits(made), uncosted(made)) == ({}, [], [("BTC", "USDT", "1")])


def test_a_withdrawal_takes_at_the_average_and_a_deposit_brings_no_cost() -> None:
    def moved(amount: str, **fields) -> Transfer:
        given = {"product": "spot", "id": "1", "kind": "withdrawal", "asset": "BTC", "exchange_ms": 1}
        return Transfer(**given, amount=Decimal(amount), **fields)

    made = book(fill("buy", "2", "100"), moved("-0.5", fee=Decimal("0.5")), moved("7"), moved("-1", status="pending"))
    assert lots(made) == {("BTC", "USDT"): ("1", "100")}


def test_a_coin_that_pays_leaves_its_own_lot() -> None:
    made = book(fill("buy", "1", "60000"), fill("buy", "100", "0.0025", "0", "BTC", symbol="SOL/BTC"))
    assert lots(made) == {("BTC", "USDT"): ("0.75", "60000"), ("SOL", "BTC"): ("100", "0.0025")}


def test_contracts_realise_what_the_exchange_says_minus_the_fee() -> None:
    made = book(fill("sell", "1", "100", "0.5", symbol="BTC/USDT:USDT", realised=Decimal(3)))
    assert (lots(made), profits(made)) == ({}, [("USDT", "3"), ("USDT", "-0.5")])


def test_what_is_not_told_yet_is_said() -> None:
    assert book(fill("buy", "1", "100", None, None)).incomplete_ms == 1000
    assert book(fill("sell", "1", "100", symbol="BTC/USDT:USDT")).incomplete_ms == 1000
    assert book(fill("buy", "1", "100")).incomplete_ms is None


def test_everything_sold_leaves_nothing_behind() -> None:
    made = book(*(fill("buy", "0.3", "7.77", "0.01") for _ in range(7)), fill("sell", "2.1", "8"))
    assert lots(made) == {}
    assert profits(made) == [("USDT", "0.413")]  # 16.8 - (7 * 2.331 + 0.07)


def paid(kind: str, asset: str, amount: str, **fields) -> Transfer:
    given = {"product": "spot", "id": "t", "exchange_ms": 2000}
    return Transfer(**{**given, "kind": kind, "asset": asset, "amount": Decimal(amount), **fields})


def test_what_is_paid_apart_from_fills_is_realised() -> None:
    """Funding is of derivatives, as their fees are: the coins that were bought stay where they are."""
    bought = fill("buy", "2", "100")
    made = book(
        bought,
        paid("funding", "BTC", "-0.5"),
        paid("interest", "BTC", "-0.5"),
        paid("income", "USDT", "3", fee=Decimal(1)),
        paid("other", "USDT", "40"),
        paid("deposit", "USDT", "40"),
        paid("fee", "USDT", "-9", status="failed"),
    )
    assert lots(made) == {("BTC", "USDT"): ("1.5", "100")}
    assert [(p.at_ms, p.asset, p.amount) for p in made.profits] == [
        (2000, "BTC", Decimal("-0.5")),
        (2000, "BTC", Decimal("-0.5")),
        (2000, "USDT", Decimal(2)),
    ]


def test_losses_of_derivatives_take_no_lots_but_less_may_be_held() -> None:
    """Their profits bring none either: so a thousand small gains and losses do not eat up what was bought."""
    bought = fill("buy", "1000", "0.9", "0", "EUR", symbol="USDT/EUR")
    lost = fill("sell", "1", "100", "1", symbol="BTC/USDT:USDT", realised=Decimal(-30))
    made = book(bought, lost, paid("funding", "USDT", "-9"))
    assert lots(made) == {("USDT", "EUR"): ("1000", "0.9")}
    assert made.leaves("USDT") == 960
    made.transfer(paid("funding", "USDT", "100"))
    assert made.leaves("USDT") == 1000
    assert made.leaves("BTC") == 0


def test_a_fill_on_margin_is_a_position_s() -> None:
    """Coins that were bought keep their cost; what the position brought is told by the exchange's ledger."""
    made = book(
        fill("buy", "0.2", "30000"),
        fill("buy", "1", "50000", fee="50", margin=True),
        fill("sell", "1", "55000", fee="55", margin=True),
        paid("income", "USDT", "4895"),
    )
    assert lots(made) == {("BTC", "USDT"): ("0.2", "30000")}
    assert [(p.asset, p.amount) for p in made.profits] == [("USDT", Decimal(4895))]
