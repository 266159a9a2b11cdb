"""The real product and ccxt, each for itself, as clients of the same simulated accounts: one table, held as it is.

``python -m bench accounts`` prints it. What stands under REMARKS is all that one of the two does not tell.
"""

import pytest

from bench import accounts
from bench.accounts import ABSENT, DIFFERENT, EQUAL, FAILED, NOTHING

LMEX = "ccxt has no lmex: by btse's signature and reading"
SPOT = "spot alone: ccxt's are of other products"
REMARKS = {
    ("binance spot", "fetch_positions"): (NOTHING, SPOT),
    ("binance usdm", "fetch_balance"): (EQUAL, "ours does not tell used"),
    ("bybit", "fetch_balance"): (EQUAL, "ccxt does not tell free, used"),
    ("coinbase", "fetch_positions"): (NOTHING, SPOT),
    ("kraken", "fetch_positions"): (NOTHING, SPOT),
    ("krakenfutures", "fetch_balance"): (EQUAL, "ours does not tell used"),
    ("krakenfutures", "fetch_open_orders"): (EQUAL, "ccxt does not tell price"),
    **{("lmex", call): (EQUAL, LMEX) for call in accounts.CALLS},
    ("lmex", "fetch_my_trades"): (EQUAL, f"ccxt does not tell maker; {LMEX}"),
    ("alpaca", "fetch_positions"): (ABSENT, "has['fetchPositions'] is False"),
}
AT_TIMES = {("kraken", "fetch_balance"): (EQUAL, "ours does not tell free, used")}
"""Kraken's stream tells totals alone; what of them is free comes with the next answer, seconds later."""
LEAST = {
    "fetch_balance": 6,
    "fetch_positions": 3,
    "fetch_open_orders": 10,
    "fetch_my_trades": 40,
    "create_order": 2,
    "cancel_order": 3,
}
"""So many figures at least are compared of each call."""


@pytest.mark.slow
def test_every_account_shows_the_same_at_ccxt_and_in_our_api() -> None:
    rows = accounts.compared()
    assert [row for row in rows if row.verdict in (DIFFERENT, FAILED)] == []
    labels = [part.label for part in accounts.PARTS]
    assert [(row.part, row.call) for row in rows] == [(label, call) for label in labels for call in accounts.CALLS]
    told = {(row.part, row.call): (row.verdict, row.remark) for row in rows if (row.verdict, row.remark) != (EQUAL, "")}
    assert dict(told.items() - AT_TIMES.items()) == REMARKS
    few = [row for row in rows if row.verdict == EQUAL and row.figures < LEAST[row.call]]
    assert few == []
