"""The tables: exact money, rows that cannot be doubled, migrations that fit."""

import json
from collections.abc import Callable
from decimal import Decimal
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from dashboard import records
from dashboard.fields import DecimalTextField, canonical
from dashboard.models import Balance, ExchangeAccount, Fill, WorkerReport

numbers = st.decimals(allow_nan=False, allow_infinity=False, places=None) | st.decimals(-(10**20), 10**20, places=18)


@given(numbers)
def test_canonical_text_is_the_same_number_without_ornament(number: Decimal) -> None:
    text = canonical(number)
    assert Decimal(text) == number
    assert "E" not in text.upper()
    assert not text.startswith("-0") or text.startswith("-0.")
    assert not ("." in text and text.endswith(("0", ".")))


@given(numbers, st.integers(0, 10))
def test_equal_numbers_have_equal_text(number: Decimal, zeros: int) -> None:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    padded = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    assert canonical(padded) == canonical(number)


@pytest.mark.parametrize(
    ("number", "text"), [("1.50", "1.5"), ("1E+3", "1000"), ("-0.00", "0"), ("0E-18", "0"), ("1E-18", f"0.{'0' * 17}1")]
)
def test_canonical_examples(number: str, text: str) -> None:
    assert canonical(Decimal(number)) == text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        canonical(Decimal(number))


def test_a_text_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="'1,5' is not a decimal number"):
        DecimalTextField().to_python("1,5")


@pytest.mark.django_db
def test_money_is_text_at_rest_and_decimal_in_python(make_account: Callable[..., ExchangeAccount]) -> None:
    exact = Decimal("0.1000000000000000000000000000000000001")  # more digits than a float or a decimal context has
    Balance.objects.create(account=make_account(), product="spot", asset="X", total=exact, asof_ms=1, recv_ns=1)
    assert Balance.objects.get().total == exact
    assert Balance.objects.get().free is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT total FROM dashboard_balance")
        assert cursor.fetchone() == (str(exact),)
    [dumped] = json.loads(serializers.serialize("json", Balance.objects.all()))
    assert dumped["fields"]["total"] == str(exact)


@pytest.mark.django_db
def test_a_fill_cannot_be_stored_twice(make_account: Callable[..., ExchangeAccount]) -> None:
    account = make_account()
    columns = {"product": "spot", "recv_ns": 1, "symbol": "BTC/USDT", "order_id": "7", "side": "buy", "source": "rest"}
    numbers = {"price": Decimal(1), "size": Decimal(1), "exchange_ms": 1}
    Fill.objects.create(account=account, fill_id="1", **columns, **numbers)
    with pytest.raises(IntegrityError), transaction.atomic():
        Fill.objects.create(account=account, fill_id="1", **columns, **numbers)
    Fill.objects.create(account=account, fill_id="1", **{**columns, "symbol": "ETH/USDT"}, **numbers)
    Fill.objects.create(account=make_account(), fill_id="1", **columns, **numbers)


@pytest.mark.django_db
def test_row_numbers_are_never_used_twice(make_account: Callable[..., ExchangeAccount]) -> None:
    """Who has read up to a row must not find another fill under its number."""
    account = make_account()
    columns = {"product": "spot", "recv_ns": 1, "symbol": "BTC/USDT", "order_id": "7", "side": "buy", "source": "rest"}
    numbers = {"price": Decimal(1), "size": Decimal(1), "exchange_ms": 1}
    last = Fill.objects.create(account=account, fill_id="1", **columns, **numbers)
    used = last.pk
    last.delete()
    assert Fill.objects.create(account=account, fill_id="2", **columns, **numbers).pk > used


@pytest.mark.django_db
def test_the_same_label_twice_is_refused(make_account: Callable[..., ExchangeAccount], stranger: User) -> None:
    make_account(label="Main")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_account(label="Main")
    make_account(label="Main", exchange="kraken")
    make_account(label="Main", owner=stranger)


@pytest.mark.django_db
def test_a_report_replaces_the_former() -> None:
    records.put_report({"streams": [1]}, recv_ns=1)
    records.put_report({"streams": [2]}, recv_ns=2)
    found = records.report()
    assert found and (found.body, found.recv_ns) == ({"streams": [2]}, 2)
    assert WorkerReport.objects.count() == 1


@pytest.mark.django_db
def test_a_new_sealing_key_replaces_the_former() -> None:
    records.put_sealing_key("a", "QQ==", {"binance": {}})
    records.put_sealing_key("b", "Qg==", {"binance": {}, "kraken": {}})
    records.put_sealing_key("b", "Qg==", {"kraken": {}})
    key = records.sealing_key()
    assert key and (key.key_id, key.exchanges) == ("b", {"kraken": {}})


@pytest.mark.django_db
def test_migrations_fit_the_models() -> None:
    out = StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=out)
    assert "No changes detected" in out.getvalue()
