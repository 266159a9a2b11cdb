"""How the page's tests look at a page, wait for it, and change frames."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

BOOK = "book:binance:BTC/USDT"
LIVE = "document.querySelector('#ladder-state .badge')?.dataset.state === 'LIVE'"
STALE = "document.querySelector('#ladder-body').classList.contains('stale')"
DRAWN = "document.querySelector('.ladder-row[data-side=bid] .ladder-price').textContent !== ''"


def until(page: Any, expression: str, timeout_s: float = 15.0) -> None:
    """Wait until a JavaScript expression is true (``wait_for_function`` needs eval, which the page forbids)."""
    end = time.monotonic() + timeout_s
    while not page.evaluate(f"Boolean({expression})"):
        assert time.monotonic() < end, f"after {timeout_s} s still not: {expression}"
        page.wait_for_timeout(40)


def painted(page: Any, fake: Any, *topics: str, later: int = 0) -> None:
    """Wait until the frames that are the newest now, or ``later`` ones, are on the page, as it confirms itself."""
    end = time.monotonic() + 15
    for topic in topics:
        wanted = fake.tell("painted", topic=topic)["sent"] + later
        while fake.tell("painted", topic=topic)["painted"] < wanted:
            assert time.monotonic() < end, f"after 15 s frame {wanted} of {topic} is still not painted"
            page.wait_for_timeout(40)


def told(page: Any, condition: Callable[[], Any], timeout_s: float = 15.0) -> None:
    """Wait for something that the page does not know, while it goes on."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"not within {timeout_s} s"
        page.wait_for_timeout(40)


def eventually(page: Any, check: Callable[[], None], timeout_s: float = 5.0) -> None:
    """Wait until all that is asserted is so; where it never is, the last failure is told."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with contextlib.suppress(AssertionError):
            return check()
        page.wait_for_timeout(40)
    check()


def live(page: Any) -> Any:
    until(page, f"{LIVE} && {DRAWN}")
    return page


def texts(page: Any, selector: str) -> list[str]:
    found: list[str] = page.eval_on_selector_all(selector, "all => all.map(one => one.textContent)")
    return found


def text_is(selector: str, text: str) -> str:
    """A JavaScript expression for :func:`until`."""
    return f"document.querySelector({selector!r})?.textContent === {text!r}"


def row(side: str, index: int, part: str = "") -> str:
    """The selector of a ladder row, best first, or of a part of it."""
    return f".ladder-row[data-side={side}][data-index='{index}'] {part}".strip()


def plain(number: int, places: int) -> str:
    """An integer of a frame as the ladder prints it."""
    whole, fraction = divmod(number, 10**places)
    return f"{whole:,}.{fraction:0{places}}" if places else f"{whole:,}"


def change(frame: dict[str, Any], number: int, state: str = "LIVE") -> None:
    """Other content of the same shape, all of it in ``state``."""
    data, now_us = frame["data"], time.time_ns() // 1000
    frame |= {"n": number, "sent_us": now_us, "recv_us": now_us}
    for rows in ([frame], *data.values()):
        for entry in rows if isinstance(rows, list) else [rows]:
            if isinstance(entry, dict) and "state" in entry:
                entry["state"] = state
    if "bids" in data:
        data["bids"][0][1] = number
    if "trades" in data:
        data["trades"].insert(0, {**data["trades"].pop(), "id": str(number)})
    if "fills" in data:
        fills = data["fills"]
        fills.insert(0, {**fills[0], "row": fills[0]["row"] + 1, "id": str(number)})
        del fills[50:]
        data |= {"first_row": fills[-1]["row"], "last_row": fills[0]["row"]}
    if "bars" in data and number % 10 == 0:
        data["bars"] = [data["bars"][1], {**data["bars"][1], "open_ms": data["bars"][1]["open_ms"] + 60_000}]
