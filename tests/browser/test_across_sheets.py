"""Arbitrage events, the status board, fees, the folded list of markets, and the layouts of the view over all."""

import time
from typing import Any

import pytest

from tests.browser.looking import eventually, live, text_is, texts, told, until
from tests.browser.test_layout import NO_SCROLL, PANELS, SMALL

pytestmark = pytest.mark.browser

EVENTS = "document.querySelectorAll('#arbitrage tbody tr').length"


@pytest.fixture
def eight(fake: Any) -> Any:
    """The stand-in with 8 exchanges, 10 markets each."""
    fake.tell("venues", count=8)
    return fake


def ended(fake: Any, count: int) -> None:
    now = int(time.time() * 1000)
    for number in range(count):
        times = {"started_ms": now - (count - number) * 60_000, "ended_ms": now - (count - number) * 60_000 + 8_000}
        fake.tell("event", open=False, lasted_ms=8_000, reason="The net fell below the threshold.", **times)


class TestEvents:
    def test_running_ones_tick_and_end_with_a_reason(self, open_page: Any, eight: Any) -> None:
        ended(eight, 3)
        event = eight.tell("event", symbol="ETH/USDT", size="2", buy={"exchange": "okx", "symbol": "ETH/USDT"})
        page = live(open_page(prefs={"view": "trade"}))
        until(page, text_is("#views .events-count", "1"))
        page.keyboard.press("a")
        until(page, f"{EVENTS} === 4")
        first = "#arbitrage tbody tr:first-child"
        assert "RUNNING" in page.locator(first).inner_text()

        def lasted() -> float:
            return float(page.locator(f"{first} .col-lasted .cell-main").inner_text().split("\u2009")[0])

        began, before = time.monotonic(), lasted()
        told(page, lambda: lasted() - before >= 1.5)
        assert abs(lasted() - before - (time.monotonic() - began)) < 1.2
        # A click shows its symbol, size and pair.
        page.locator(first).click()
        until(page, text_is("#market .market-pair", "ETH/USDT"))
        until(page, "document.querySelector('.size-input').value === '2'")
        until(page, text_is(".pair-side[data-side=asks] .ex-long", "OKX"))
        gone = {"open": False, "ended_ms": int(time.time() * 1000), "reason": "A leg went stale: okx ETH/USDT."}
        eight.tell("together", events=[{**event, **gone}])
        until(page, "document.querySelector('#arbitrage tbody').textContent.includes('A leg went stale')")
        until(page, text_is("#views .events-count", ""))

    def test_older_ones_are_read_on_demand(self, open_page: Any, eight: Any) -> None:
        ended(eight, 170)
        page = open_page(prefs={"view": "across"})
        until(page, f"{EVENTS} === 50")
        page.get_by_role("button", name="Older events").click()
        until(page, f"{EVENTS} === 150")
        page.get_by_role("button", name="Older events").click()
        until(page, f"{EVENTS} === 170")
        page.get_by_role("button", name="Older events").wait_for(state="hidden")
        ids = page.eval_on_selector_all("#arbitrage tbody tr", "all => all.map(one => Number(one.dataset.id))")
        assert ids == list(range(170, 0, -1)), "the latest start first"
        page.get_by_role("button", name="BTC/USDT only").click()
        until(page, "document.querySelector('.sheet-head button').getAttribute('aria-pressed') === 'true'")


def test_board_has_a_row_for_each_exchange(open_page: Any, eight: Any) -> None:
    eight.tell("notice", exchange="kraken", text="Maintenance at 22:00.")
    eight.tell("market", key="lmex:BTC/USDT", state="DOWN", reason="refused")
    page = open_page(prefs={"view": "across", "acrossTab": "exchanges"})
    until(page, "document.querySelectorAll('#exchanges tbody tr').length === 8")
    rows = page.locator("#exchanges tbody tr")
    assert "Maintenance at 22:00." in rows.nth(1).inner_text()
    assert rows.nth(0).locator(".col-connections .cell-main").inner_text() == "3/3"
    assert rows.nth(6).locator(".col-markets .cell-main").inner_text() == "9/10"
    assert "DOWN" in rows.nth(6).inner_text() and "stale" in rows.nth(6).get_attribute("class")
    assert rows.nth(2).locator(".col-budget .cell-main").inner_text() == "11\u2009%"  # 640 of 6000
    assert rows.nth(0).locator(".col-offset .cell-main").inner_text() == "–"
    assert page.locator("#exchanges-count").inner_text() == "1 not live"


class TestFees:
    def test_own_fees_are_saved_refused_and_taken_back(self, open_page: Any, eight: Any) -> None:
        open_page.troubles.expect("400 (Bad Request)")
        page = open_page(prefs={"view": "across", "acrossTab": "fees"})
        form = page.locator("[data-fee='kraken spot']")
        maker, taker = form.locator("[data-field=maker_bps]"), form.locator("[data-field=taker_bps]")
        until(page, "document.querySelectorAll('.fees-list form').length === 8")
        assert (maker.input_value(), taker.input_value()) == ("25", "40")
        save = form.get_by_role("button", name="Save")
        assert save.is_disabled()
        taker.fill("1001")
        assert "between -100 and 1000" in form.locator(".fee-problem").inner_text()
        taker.fill("2,50")
        save.click()
        until(page, "document.querySelector(\"[data-fee='kraken spot'] .fee-source\").textContent.includes('your own')")
        [post] = eight.tell("log")["posted"]
        assert post["csrf"] and post["path"] == "/api/fees/kraken/spot/"
        assert post["body"] == {"maker_bps": "25", "taker_bps": "2.5"}
        assert taker.input_value() == "2.5"
        until(page, "document.querySelector('.matrix-table thead th:nth-child(3)')?.textContent.includes('2.5*')")
        maker.fill("666")
        save.click()
        until(page, "document.querySelector(\"[data-fee='kraken spot'] .fee-problem\").textContent.includes('refuses')")
        form.get_by_role("button", name="Reset").click()
        until(page, "document.querySelector(\"[data-fee='kraken spot'] [data-field=taker_bps]\").value === '40'")
        assert form.get_by_role("button", name="Reset").is_hidden()

    def test_threshold(self, open_page: Any, eight: Any) -> None:
        page = open_page(prefs={"view": "across", "acrossTab": "fees"})
        form = page.locator("#fees > form")
        until(page, "document.querySelector('#fees > form [data-field=threshold_bps]').value === '5'")
        form.locator("[data-field=threshold_bps]").fill("7.5")
        form.locator("[data-field=duration_s]").fill("2")
        form.get_by_role("button", name="Save").click()
        until(page, text_is("#fees > form .fee-source", "your own"))
        assert eight.tell("log")["posted"][0]["body"] == {"threshold_bps": "7.5", "duration_s": 2}
        page.get_by_role("tab", name="Arbitrage").click()
        until(page, text_is(".sheet-head .dim", "Net at or above 7.5\u2009bps for 2\u2009s"))


def test_markets_fold_by_exchange_and_are_not_watched_then(open_page: Any, eight: Any) -> None:
    page = live(open_page())
    until(page, "document.querySelectorAll('.watch-row').length === 80")
    assert texts(page, ".watch-fold span:not(.watch-count)")[5] == "Kraken Futures"
    page.keyboard.press("f")
    until(page, "document.querySelectorAll('.watch-row').length === 10")
    page.locator(".watch-fold[data-exchange=binance]").click()
    until(page, "document.querySelectorAll('.watch-row').length === 1")  # the selected one stays

    def quotes() -> list[str]:
        return [topic for topic in eight.tell("log")["topics"][0] if topic.startswith("quote:")]

    told(page, lambda: quotes() == ["quote:binance:BTC/USDT"])
    eight.tell("market", key="lmex:BTC/USDT", state="STALE", reason="silent")
    until(page, text_is(".watch-fold[data-exchange=lmex] .watch-count", "10 · 1 not live"))
    page.fill("#watchlist-filter", "sol")
    until(page, "[...document.querySelectorAll('.watch-row')].filter(one => one.checkVisibility()).length === 8")
    page.fill("#watchlist-filter", "")
    page.reload()
    live(page)
    until(page, "document.querySelectorAll('.watch-row').length === 1")
    page.locator("body").press("f")
    until(page, "document.querySelectorAll('.watch-row').length === 80")


@pytest.mark.parametrize("tab", ["arbitrage", "pair"])
def test_the_view_has_no_scroll_and_no_overlap(open_page: Any, eight: Any, tab: str) -> None:
    page = open_page(prefs={"view": "across", "acrossTab": tab})
    until(page, "document.querySelectorAll('.matrix-table button').length === 56")
    for width, height in ((1440, 900), (1024, 768), (1920, 1080), (760, 900)):
        page.set_viewport_size({"width": width, "height": height})
        eventually(page, lambda width=width, height=height: check_layout(page, width, height))


def check_layout(page: Any, width: int, height: int) -> None:
    assert page.evaluate(NO_SCROLL)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    boxes = page.evaluate(PANELS)
    assert len(boxes) == (7 if width >= 1360 else 6 if width >= 960 else 5)
    for i, (name, left, top, right, bottom) in enumerate(boxes):
        assert right <= width and bottom <= height, f"{name} leaves the window"
        for other, left2, top2, right2, bottom2 in boxes[i + 1 :]:
            apart = right <= left2 + 0.5 or right2 <= left + 0.5 or bottom <= top2 + 0.5 or bottom2 <= top + 0.5
            assert apart, f"{name} lies over {other}"
    # No figure of the matrix is cut off.
    cut = "one => one.getBoundingClientRect().width > one.parentElement.clientWidth"
    assert page.evaluate(f"[...document.querySelectorAll('.cell-bps')].filter({cut}).length") == 0


def test_phone(open_page: Any, eight: Any) -> None:
    ended(eight, 2)
    page = open_page(width=390, height=844)
    page.locator("#phone-tabs").get_by_text("Across").click()
    others = {"matrix": ".matrix-table button", "pair": ".pair-row", "fees": ".fee-form"}
    for tab in ("matrix", "pair", "arbitrage", "exchanges", "fees"):
        page.locator(f"#tab-{tab}").click()
        shown = others.get(tab, f"#{tab} tbody tr")
        until(page, f"[...document.querySelectorAll({shown!r})].filter(one => one.checkVisibility()).length > 1")
        assert page.evaluate(NO_SCROLL)
        assert page.evaluate(SMALL) == []
        assert page.locator(".panel:visible").count() == 2  # the tabs and the sheet
        assert all(box[3] <= 390 and box[4] <= 844 for box in page.evaluate(PANELS))
