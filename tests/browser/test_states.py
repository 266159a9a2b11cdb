"""What the page says when data are not current: silence, broken connections, states of markets."""

import time
from typing import Any

import pytest

from tests.browser.looking import DRAWN, LIVE, STALE, live, text_is, texts, until

pytestmark = pytest.mark.browser

MARKET = "binance:BTC/USDT"


@pytest.mark.parametrize("state", ["CONNECTING", "SYNCING", "RESYNC", "DOWN"])
def test_a_book_that_is_not_there_says_why(open_page: Any, fake: Any, state: str) -> None:
    page = live(open_page())
    fake.tell("market", key=MARKET, state=state, reason="the reason given")
    until(page, "!document.querySelector('.ladder-note').hidden")
    until(page, text_is(".ladder-note span", "the reason given"))
    assert page.locator(".ladder-note strong").inner_text() == state
    assert set(texts(page, ".ladder-price")) == {""}
    assert page.locator(".mid-spread").inner_text() == "No spread"
    fake.tell("market", key=MARKET, state="LIVE", reason="")
    live(page)
    assert page.locator(".ladder-note").is_hidden()


def test_a_stale_market_is_grey_with_its_age(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    fake.tell("market", key=MARKET, state="STALE", reason="silent", moved_us=time.time_ns() // 1000 - 65_000_000)
    until(page, STALE)
    assert page.evaluate(DRAWN)
    assert page.locator("#ladder-state .num").inner_text().startswith("1\u2009m")
    until(page, f"document.querySelector('[data-key=\"{MARKET}\"]').classList.contains('stale')")
    assert page.locator(f"[data-key='{MARKET}'] .watch-state").inner_text().startswith("STALE 1\u2009m")
    assert page.locator("[data-key='binance:ETH/USDT'].stale").count() == 0


def test_a_crossed_book_is_not_drawn(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    fake.tell("market", key=MARKET, crossed=True)
    until(page, text_is(".ladder-note strong", "CROSSED"))
    assert set(texts(page, ".ladder-price")) == {""}
    fake.tell("market", key=MARKET, crossed=False)
    live(page)


def test_a_restored_book_is_labelled_old(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    fake.tell("market", key=MARKET, state="STALE", restored=True)
    until(page, text_is("#ladder-state .badge-word", "OLD"))
    assert page.evaluate(STALE) and page.evaluate(DRAWN)


def test_silence_makes_everything_stale_and_recovers(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    until(page, "document.querySelectorAll('#positions tbody tr').length === 2")
    fake.tell("set", mute=True)
    began = time.monotonic()
    until(page, STALE, 8)
    assert time.monotonic() - began < 6.5
    assert page.locator("#link").get_attribute("data-state") == "STALE"
    until(page, "document.querySelectorAll('.watch-row:not(.stale)').length === 0")
    until(page, "document.querySelectorAll('#positions tbody tr:not(.stale)').length === 0")
    colour = "getComputedStyle(document.querySelector('{}')).color"
    assert page.evaluate(colour.format(".ladder-price")) == page.evaluate(colour.format(".ladder-columns"))
    assert "STALE" in page.locator("#ladder-state").inner_text()
    assert page.locator("#summary").inner_text().startswith("– USDT")
    fake.tell("set", mute=False)
    live(page)
    until(page, f"!({STALE})")


def test_a_killed_socket_is_stale_until_data_came_again(open_page: Any, fake: Any) -> None:
    open_page.troubles.expect("WebSocket connection to", "failed: ws")
    page = live(open_page())
    fake.tell("set", refusing=True)
    fake.tell("kill")
    until(page, STALE, 5)
    assert page.locator("#link").get_attribute("data-state") in ("DOWN", "CONNECTING")
    assert page.locator("#announcer").inner_text().startswith("Data are not live")
    fake.tell("set", refusing=False)
    until(page, f"!({STALE}) && {LIVE}", 20)
    assert page.locator("#announcer").inner_text() == "Data are live."


def test_a_tab_that_slept_reloads_before_it_is_live(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    connections = sum(1 for message in fake.tell("log")["messages"] if message["type"] == "subscribe")
    hide = """hidden => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    page.wait_for_timeout(5200)
    fake.tell("set", mute=True)
    page.evaluate(hide, False)
    until(page, STALE, 2)
    assert page.locator("#link").get_attribute("data-state") in ("CONNECTING", "SYNCING")
    fake.tell("set", mute=False)
    until(page, f"!({STALE}) && {LIVE}", 20)
    assert sum(1 for message in fake.tell("log")["messages"] if message["type"] == "subscribe") > connections


def test_an_account_that_is_not_followed_says_so(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    until(page, "document.querySelectorAll('#positions tbody tr').length === 2")
    assert page.locator("#positions .sheet-trouble").is_hidden()
    fake.tell("account", state="DOWN", sentence="The key is refused.")
    until(page, text_is("#positions .sheet-trouble", "Main DOWN: The key is refused."))
    assert page.locator("#positions tbody tr:not(.stale)").count() == 0
    assert page.locator("#summary").inner_text().startswith("– USDT")
    fake.tell("account", state="LIVE", sentence="")
    until(page, "document.querySelector('#positions .sheet-trouble').hidden")


def test_many_connections_are_a_row_for_each_exchange(open_page: Any, fake: Any) -> None:
    """Of 22 connections of 8 exchanges those below a row are listed when it is opened, or when one is not as usual."""
    fake.tell("set", exchanges=8, notice="Kraken's status is maintenance.")
    page = live(open_page(width=1600, height=1000))
    groups = ".streams tr.group"
    until(page, f"document.querySelectorAll('{groups}').length === 7")
    assert texts(page, f"{groups} .col-stream .cell-main")[:3] == ["Binance", "Bybit", "OKX"]
    assert page.locator(".streams tr.child").count() == 1, "the one that is late"
    assert page.locator(".streams tr.child .cell-sub").inner_text().startswith("Late: 250 ms instead of 12 ms")
    until(page, text_is(".streams p.note", "Kraken: Kraken's status is maintenance."))
    first = page.locator(groups).first
    assert first.get_attribute("aria-expanded") == "false"
    first.click()
    until(page, "document.querySelectorAll('.streams tr.child').length === 4")
    assert first.get_attribute("aria-expanded") == "true"
    first.press("Enter")
    until(page, "document.querySelectorAll('.streams tr.child').length === 1")
