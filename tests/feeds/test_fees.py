"""Fees: which one holds, and what may be entered."""

import json
from decimal import Decimal

import pytest

from feeds import exchanges
from feeds.across.fees import DEFAULTS, UNKNOWN_SPOT, Fee, FeeTable, default_fee, read_bps
from tests.documented import Documented
from tests.feeds.okx_examples import answer


def fee(maker: str, taker: str, source: str) -> Fee:
    return Fee(maker_bps=Decimal(maker), taker_bps=Decimal(taker), source=source)


def test_the_users_own_win_over_the_file_and_that_over_the_default():
    table = FeeTable({("kraken", "spot"): fee("16", "26", "file")})
    assert table.of("kraken", "spot").taker_bps == 26
    assert table.of("binance", "spot") == default_fee("binance", "spot")
    assert table.set_user({("kraken", "spot"): fee("1", "2", "user")})
    assert not table.set_user({("kraken", "spot"): fee("1", "2", "user")}), "nothing new"
    assert table.of("kraken", "spot").source == "user"
    assert table.without_user("kraken", "spot").source == "file"
    assert table.set_user({})
    assert table.of("kraken", "spot").maker_bps == 16


def test_krakens_default_is_that_of_its_documented_listing():
    assert (default_fee("kraken", "spot").maker_bps, default_fee("kraken", "spot").taker_bps) == (25, 40)


def test_okxs_default_is_that_of_its_documented_answer():
    """What is charged is negative there."""
    [told] = json.loads(answer("Account/GetFeeRates"))["data"]
    assert (told["instType"], told["level"]) == ("SPOT", "lv1")
    known = default_fee("okx", "spot")
    assert [-Decimal(told[side]) * 10_000 for side in ("maker", "taker")] == [known.maker_bps, known.taker_bps]


def test_every_default_says_where_it_is_from_and_what_is_not_known_is_dear():
    assert all(known.note and known.source == "default" for known in DEFAULTS.values())
    assert default_fee("nowhere", "spot") is UNKNOWN_SPOT
    assert "not known" in UNKNOWN_SPOT.note.lower()
    assert default_fee("nowhere", "perp").taker_bps >= max(f.taker_bps for (_, p), f in DEFAULTS.items() if p != "spot")


@pytest.mark.parametrize(
    ("exchange", "product"), [(n, p) for n in exchanges.REGISTRY for p in exchanges.create(n).products]
)
def test_every_product_has_a_fee(exchange: str, product: str) -> None:
    assert default_fee(exchange, product).taker_bps >= default_fee(exchange, product).maker_bps


@pytest.mark.parametrize("good", ["0", "10", "-100", "1000", "5.5", "0.1234", "10.00000"])
def test_what_may_be_entered(good: str) -> None:
    assert read_bps(good) == Decimal(good)


@pytest.mark.parametrize(
    "bad", ["", "x", "1e1", "-101", "1000.1", "0.12345", "NaN", "+1", " 1", "١", None, 10, 1.5, True]
)
def test_what_may_not(bad: object) -> None:
    with pytest.raises(ValueError, match="from -100 to 1000"):
        read_bps(bad)


DOCUMENTED = Documented(
    "okx",
    {"Endpoints/UnifiedApi/Account/GetFeeRates.txt": "test_okxs_default_is_that_of_its_documented_answer"},
)
