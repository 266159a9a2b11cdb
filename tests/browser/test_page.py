"""The trading page in Chromium against the stand-in server: what is drawn, and what the keys do."""

import json
from itertools import pairwise
from typing import Any

import pytest

from tests.browser.looking import BOOK, LIVE, STALE, change, live, painted, plain, row, text_is, texts, told, until

pytestmark = pytest.mark.browser

PAIR = "#market .market-pair"


def fills(page: Any) -> int:
    count: int = page.locator("#fills tbody tr").count()
    return count


def test_page_is_quiet_and_moves(open_page: Any) -> None:
    page = live(open_page())
    first = "|".join(texts(page, ".ladder-size"))
    sizes = "[...document.querySelectorAll('.ladder-size')].map(one => one.textContent).join('|')"
    until(page, f"{sizes} !== {first!r}")
    until(page, "document.querySelector('#chart-canvas canvas') && document.querySelector('#chart-note').hidden")
    assert page.locator("#link").get_attribute("data-state") == "LIVE"
    assert page.locator("#simulated").is_visible()
    assert page.get_by_role("link", name="Charts by TradingView").is_visible()
    until(page, "document.querySelector('#link-latency').textContent.includes('ms')")


def test_ladder_equals_the_frame(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    fake.tell("set", frozen=True)
    fake.tell("market", key="binance:BTC/USDT", state="LIVE")
    data = fake.tell("frame", topic=BOOK)["data"]
    painted(page, fake, BOOK)
    for side in ("ask", "bid"):
        total = 0
        for index, (price, size) in enumerate(data[f"{side}s"]):
            total += size
            shown = [
                texts(page, row(side, index, part))[0] for part in (".ladder-price", ".ladder-size", ".ladder-total")
            ]
            assert shown == [plain(price, 2), plain(size, 5), plain(total, 5)]
    prices = [float(text.replace(",", "")) for text in texts(page, ".ladder-price")]
    assert prices == sorted(prices, reverse=True) and len(prices) == 50
    spread = plain(data["ask"][0] - data["bid"][0], 2)
    assert texts(page, ".mid-spread")[0].startswith(f"Spread {spread} · ")
    bars = page.eval_on_selector_all(".ladder-bar", "all => all.map(one => one.getBoundingClientRect().width)")
    assert max(bars) == pytest.approx(page.locator(".ladder-row").first.bounding_box()["width"], abs=1)


def test_grouping_keeps_the_rows_and_is_remembered(open_page: Any) -> None:
    page = live(open_page())
    assert page.locator(".ladder-row").count() == 50
    page.get_by_label("Group more").click()
    until(page, "document.querySelector('.step-menu').value === '0.02'")
    page.get_by_label("Group less").click()
    until(page, "document.querySelector('.step-menu').value === '0.01'")
    press = """() => {
      for (const _ of [1, 2]) document.dispatchEvent(new KeyboardEvent("keydown", { key: "]", bubbles: true }));
    }"""
    page.evaluate(press)  # both before the next picture
    live(page)
    assert page.locator("select[aria-label='Grouping step']").input_value() == "0.05"
    prices = texts(page, ".ladder-price")
    assert len(prices) == 50 and "" not in prices
    assert all(int(text.replace(",", "").replace(".", "")) % 5 == 0 for text in prices)
    page.reload()
    live(page)
    assert page.locator("select[aria-label='Grouping step']").input_value() == "0.05"


def test_change_of_market_clears_the_rows_at_once(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    fake.tell("set", mute=True)
    page.keyboard.press("j")
    until(page, text_is(PAIR, "ETH/USDT"))
    assert set(texts(page, ".ladder-price")) == {""}
    fake.tell("set", mute=False)
    live(page)


def test_bundles_are_confirmed_once_a_second(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    told(page, lambda: len(fake.tell("log")["drawn"]) >= 4)
    drawn = fake.tell("log")["drawn"]
    lasted_s = drawn[-1][0] - drawn[0][0]
    assert len(drawn) <= lasted_s + 2  # the page's own clock is held to a second in tests/js
    assert [bundle for _, bundle in drawn] == sorted(bundle for _, bundle in drawn)


def test_palette_by_keyboard(open_page: Any) -> None:
    page = live(open_page())
    page.keyboard.press("/")
    page.keyboard.type("kraken eth")
    assert texts(page, ".palette-symbol") == ["ETH/USD"]
    page.keyboard.press("Enter")
    until(page, text_is(PAIR, "ETH/USD"))
    assert page.evaluate("location.hash") == "#kraken:ETH/USD"
    live(page)
    page.keyboard.press("/")
    page.keyboard.type("pepe")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    until(page, text_is(PAIR, "PEPE/USDT"))
    live(page)
    assert page.locator(".watch-row.selected").get_attribute("data-key") == "binance:PEPE/USDT"
    assert texts(page, row("ask", 0, ".ladder-price"))[0].startswith("0.0₅")
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    assert not page.locator("#palette").is_visible()


def test_the_list_of_markets_can_be_changed(open_page: Any) -> None:
    page = live(open_page())
    keys = "[...document.querySelectorAll('.watch-row')].map(one => one.dataset.key)"
    before = page.evaluate(keys)
    assert "binance:PEPE/USDT" not in before
    page.locator("[data-key='binance:SOL/USDT']").hover()
    page.get_by_label("Take SOL/USDT off the list").click()
    page.keyboard.press("/")
    page.keyboard.type("pepe")
    page.keyboard.press("Enter")
    until(page, text_is(PAIR, "PEPE/USDT"))
    page.reload()
    live(page)
    assert set(page.evaluate(keys)) == {*before, "binance:PEPE/USDT"} - {"binance:SOL/USDT"}
    page.fill("#watchlist-filter", "kraken")
    assert page.locator(".watch-row:visible").count() == 3


def test_keys(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    page.keyboard.press("3")
    assert page.locator("[data-interval='15m']").get_attribute("aria-pressed") == "true"
    page.keyboard.press("u")
    until(page, "document.querySelector('#ladder-columns').textContent.includes('Size (USDT)')")
    page.keyboard.press("p")
    page.locator("#ladder-paused").wait_for(state="visible")
    held = texts(page, ".ladder-size")
    painted(page, fake, BOOK, later=3)
    assert texts(page, ".ladder-size") == held
    page.keyboard.press("p")
    page.locator("#ladder-paused").wait_for(state="hidden")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.locator("#watchlist-filter").focus()
    page.keyboard.type("t/u")
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_a_scrolled_ladder_keeps_its_middle_in_sight(open_page: Any) -> None:
    page = live(open_page(height=600))
    page.locator("#ladder-body").hover()
    page.mouse.wheel(0, -2000)
    until(page, "document.querySelector('#ladder-body').scrollTop === 0")
    middle = page.locator(".ladder-middle").bounding_box()
    body = page.locator("#ladder-body").bounding_box()
    assert middle["y"] + middle["height"] == pytest.approx(body["y"] + body["height"], abs=2)
    page.keyboard.press(" ")
    until(page, "document.querySelector('#ladder-body').scrollTop > 0")
    middle = page.locator(".ladder-middle").bounding_box()
    assert middle["y"] + middle["height"] / 2 == pytest.approx(body["y"] + body["height"] / 2, abs=2)


def test_hover_tells_the_cost(open_page: Any, fake: Any) -> None:
    page = live(open_page())
    fake.tell("set", frozen=True)
    page.locator(row("ask", 3)).hover()
    page.locator(".ladder-tip").wait_for(state="visible")
    height = page.locator(".ladder-row").first.bounding_box()["height"]
    assert page.locator(".ladder-shade").bounding_box()["height"] == pytest.approx(4 * height, abs=1)
    total = texts(page, row("ask", 3, ".ladder-total"))[0].rstrip("0").rstrip(".")
    until(page, f"document.querySelectorAll('.ladder-tip dd')[1].textContent === '{total} BTC'")
    page.mouse.move(5, 5)
    page.locator(".ladder-tip").wait_for(state="hidden")


def test_a_new_fill_comes_once_and_lost_frames_lose_none(open_page: Any, fake: Any) -> None:
    page = live(open_page(prefs={"tab": "fills"}))
    until(page, "document.querySelectorAll('#fills tbody tr').length === 23")
    assert page.locator("#fills tr.fresh").count() == 0
    fake.tell("fill")
    until(page, "document.querySelectorAll('#fills tbody tr').length === 24")
    assert page.locator("#fills tbody tr").first.get_attribute("class") == "fresh"
    fake.tell("fill", count=120)  # the frame has the newest 50 only: 70 must come by REST
    until(page, "document.querySelectorAll('#fills tbody tr').length === 144")
    times = texts(page, "#fills tbody .col-time")
    rises = [pair for pair in pairwise(times) if pair[0] < pair[1]]
    assert len(rises) == (times[0] < times[-1]), "newest first, and over midnight at most once"
    assert page.locator("#tab-fills .count").inner_text() == "144"


def test_older_fills_are_read_on_demand(open_page: Any, fake: Any) -> None:
    fake.tell("fill", count=200)
    page = live(open_page(prefs={"tab": "fills"}))
    until(page, "document.querySelectorAll('#fills tbody tr').length === 50")
    assert page.locator("#tab-fills .count").inner_text() == "50+"
    page.get_by_role("button", name="Older fills").click()
    until(page, "document.querySelectorAll('#fills tbody tr').length === 150")
    page.get_by_role("button", name="Older fills").click()
    until(page, "document.querySelectorAll('#fills tbody tr').length === 223")
    assert page.get_by_role("button", name="Older fills").is_hidden()
    assert page.locator("#fills tr.fresh").count() == 0


def test_account_tables(open_page: Any) -> None:
    page = live(open_page())
    until(page, "document.querySelectorAll('#positions tbody tr').length === 2")
    shown = page.locator("#positions tbody tr").first.inner_text()
    assert "BTC/USDT" in shown and "PERP" in shown and "SIM" in shown
    page.get_by_role("tab", name="Balances").click()
    until(page, "document.querySelector('.balance-total').textContent.includes('USDT')")
    assert "LDO" in page.locator(".balance-unpriced").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#fills").is_visible() and not page.locator("#balances").is_visible()
    page.get_by_role("tab", name="Orders").click()
    assert page.locator("#orders tbody tr").count() == 3


@pytest.mark.slow
def test_nothing_grows_over_two_thousand_updates(open_page: Any, fake: Any) -> None:
    """Two thousand bundles with all topics that the page watches, by its own socket, as fast as it takes them."""
    sockets: list[Any] = []

    def between(socket: Any) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page = live(open_page(prefs={"tab": "fills"}, prepare=lambda page: page.route_web_socket("**/ws/", between)))
    topics = [topic for topics in fake.tell("log")["topics"] for topic in topics]
    fake.tell("set", mute=True)
    frames = [frame for topic in topics if (frame := fake.tell("frame", topic=topic))]
    assert len(frames) > 15

    def feed(first: int, rounds: int, state: str = "LIVE", every: int = 1) -> None:
        """Books, quotes and trades in each bundle, the other topics in one of ``every``."""
        for number in range(first, first + rounds):
            fast = [frame for frame in frames if frame["topic"].startswith(("book", "quote", "trades"))]
            sent = frames if number % every == 0 else fast
            for frame in sent:
                change(frame, number, state)
            sockets[-1].send(json.dumps({"type": "bundle", "bundle": number, "frames": sent}))
            if number % 50 == 0:
                page.evaluate("new Promise(requestAnimationFrame)")

    nodes = """() => {
      const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
      let count = 0;
      while (walker.nextNode()) count += 1;
      return count;
    }"""
    feed(10_000, 600, "STALE")  # what is made for that state alone, is made now
    until(page, STALE)
    feed(11_000, 10)
    until(page, LIVE)
    before, rows_before = page.evaluate(nodes), fills(page)
    feed(20_000, 2000, every=10)
    until(page, text_is(row("bid", 0, ".ladder-size"), plain(21_999, 5)))
    assert rows_before == fills(page) == 500
    assert abs(page.evaluate(nodes) - before) < 20
