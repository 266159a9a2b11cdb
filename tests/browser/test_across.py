"""What several exchanges show together, in Chromium against the stand-in server: ladder, matrix, books, events."""

from decimal import Decimal
from typing import Any

import pytest

from tests.browser.looking import BOOK, eventually, painted, plain, row, text_is, texts, told, until

pytestmark = pytest.mark.browser

ACROSS = "across:BTC/USDT"
MATRIX = "matrix@0.1:BTC/USDT"
# Both in one task of the page: nothing is drawn between the click and the key.
CHOOSE_AND_FOCUS = """() => {
  document.querySelector(".matrix-table button[data-at='0 1']").click();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "m", bubbles: true }));
}"""
PREFS = {"view": "across", "sizes": {"BTC/USDT": "0.1"}}
BEST = "#across-body .ladder-row[data-side=ask][data-index='0'] .ladder-price"
DRAWN = f"document.querySelector({BEST!r}).textContent !== ''"
LIVE = "document.querySelector('#across-state .badge')?.dataset.state === 'LIVE'"


@pytest.fixture
def eight(fake: Any) -> Any:
    """The stand-in with 8 exchanges, 10 markets each."""
    fake.tell("venues", count=8)
    return fake


@pytest.fixture
def pair(fake: Any) -> Any:
    """Two exchanges, with the second one's book moved up, so that they cross."""
    fake.tell("venues", count=2)
    return fake


def across(open_page: Any, **options: Any) -> Any:
    page = open_page(prefs=PREFS | options.pop("prefs", {}), **options)
    until(page, f"{LIVE} && {DRAWN}")
    return page


def freeze(page: Any, fake: Any, topic: str = ACROSS, **market: Any) -> dict[str, Any]:
    """Nothing moves any more; the newest frame's data, which are on the page when this returns."""
    fake.tell("set", frozen=True)
    if market:
        fake.tell("market", **market)
    data: dict[str, Any] = fake.tell("frame", topic=topic)["data"]
    painted(page, fake, *{ACROSS, MATRIX, topic}.intersection(asked(fake)))
    return data


def asked(fake: Any) -> list[str]:
    """The topics that the page watches."""
    topics: list[str] = fake.tell("log")["topics"][0]
    return topics


def merged(data: dict[str, Any], side: str, without: tuple[str, ...] = ()) -> list[tuple[int, int, list[str]]]:
    """Rows as docs/protocol.md 2.7 says, in the plainest way: best first, up to the nearest reach."""
    legs = [leg for leg in data["legs"] if leg["usable"] and leg["exchange"] not in without]
    number, falling = ("bids", "asks").index(side), side == "bids"
    reaches = [leg["reach"][number] for leg in legs if leg["reach"][number] is not None]
    end = (max if falling else min)(reaches) if reaches else None
    prices = sorted({level[0] for leg in legs for level in leg[side]}, reverse=falling)
    rows = []
    for price in prices:
        if end is not None and (price < end if falling else price > end):
            break
        shares = [(leg["exchange"], level[1]) for leg in legs for level in leg[side] if level[0] == price]
        names = [name for name, _ in sorted(shares, key=lambda share: -share[1])]
        rows.append((price, sum(size for _, size in shares), names))
    return rows


def shown(page: Any, side: str, part: str) -> list[str]:
    return [texts(page, f"#across-body {row(side, index, part)}")[0] for index in range(25)]


def check_rows(page: Any, data: dict[str, Any], without: tuple[str, ...] = ()) -> None:
    for side in ("bid", "ask"):
        rows = merged(data, f"{side}s", without)[:25]
        total, sums = 0, []
        for _, size, _ in rows:
            total += size
            sums.append(plain(total, data["size_decimals"]))
        blank = [""] * (25 - len(rows))
        assert (
            shown(page, side, ".ladder-price") == [plain(price, data["price_decimals"]) for price, *_ in rows] + blank
        )
        assert shown(page, side, ".ladder-size") == [plain(size, data["size_decimals"]) for _, size, _ in rows] + blank
        assert shown(page, side, ".ladder-total") == sums + blank
        codes = [f"{names[0][:3].upper()}{f'+{len(names) - 1}' if len(names) > 1 else ''}" for *_, names in rows]
        assert shown(page, side, ".ladder-where")[: len(rows)] == codes


class TestLadder:
    def test_equals_the_merged_books_and_loses_an_exchange_at_once(self, open_page: Any, pair: Any) -> None:
        page = across(open_page)
        data = freeze(page, pair)
        check_rows(page, data)
        page.locator("#across-chips [data-leg=kraken]").click()
        eventually(page, lambda: check_rows(page, data, ("kraken",)))
        assert page.locator("[data-leg=kraken]").get_attribute("aria-pressed") == "false"
        page.reload()
        until(page, f"{LIVE} && {DRAWN}")
        assert page.locator("[data-leg=kraken]").get_attribute("aria-pressed") == "false", "it is remembered"
        page.locator("[data-leg=binance]").click()
        until(page, text_is("#book-all .ladder-note strong", "ALL OFF"))
        assert set(texts(page, "#across-body .ladder-price")) == {""}

    def test_bars_are_split_by_exchange(self, open_page: Any, pair: Any) -> None:
        page = across(open_page)
        freeze(page, pair)
        ground = "one => one.style.background"
        last = page.locator(f"#across-body {row('ask', 24, '.ladder-parts')}").evaluate(ground)
        assert "var(--ex-bar-1)" in last and "linear-gradient" in last

    def test_a_stale_exchange_leaves_by_itself_and_its_chip_says_so(self, open_page: Any, pair: Any) -> None:
        page = across(open_page)
        pair.tell("market", key="kraken:BTC/USDT", state="STALE", reason="No data for 5 s or more.")
        until(page, "document.querySelector('[data-leg=kraken]').classList.contains('gone')")
        until(page, "/^STALE \\d/.test(document.querySelector('[data-leg=kraken] .chip-age').textContent)")
        assert "No data for 5 s" in page.locator("[data-leg=kraken]").get_attribute("title")
        data = freeze(page, pair)
        check_rows(page, data, ("kraken",))
        assert page.evaluate(LIVE), "the book of the others is live"
        pair.tell("market", key="kraken:BTC/USDT", state="LIVE", reason="")
        until(page, "!document.querySelector('[data-leg=kraken]').classList.contains('gone')")

    def test_crossing_is_a_band_and_no_error(self, open_page: Any, pair: Any) -> None:
        page = across(open_page)
        pair.tell("set", frozen=True)
        book = pair.tell("frame", topic=ACROSS)["data"]["legs"]
        lift = book[0]["asks"][5][0] - book[1]["bids"][0][0]
        moved = {side: [[price + lift, 50_000] for price, _ in book[1][side]] for side in ("bids", "asks")}
        pair.tell("market", key="kraken:BTC/USDT", **moved)
        data = freeze(page, pair)
        band = data["band"]
        assert band is not None and (band["buy"], band["sell"]) == (0, 1)
        until(page, text_is("#across-body .mid-label", "Band"))
        assert texts(page, "#across-body .mid-route .ex-short") == ["BIN", "KRA"]
        assert page.locator("#across-body .mid-width").inner_text().startswith(f"{Decimal(band['bps']):.2f}")
        assert page.locator("#book-all .ladder-note").is_hidden()
        marked = page.eval_on_selector_all("#across-body .ladder-row.band", "all => all.map(one => one.dataset.side)")
        asks = [price for price, *_ in merged(data, "asks") if price <= data["bid"]["price"]]
        bids = [price for price, *_ in merged(data, "bids") if price >= data["ask"]["price"]]
        assert (marked.count("ask"), marked.count("bid")) == (len(asks), len(bids)) and len(asks) >= 6
        page.locator("#across-chips [data-leg=kraken]").click()
        until(page, text_is("#across-body .mid-label", "Spread"))
        assert page.locator("#across-body .ladder-row.band").count() == 0

    def test_middle_and_imbalance_are_the_frames(self, open_page: Any, pair: Any) -> None:
        page = across(open_page)
        data = freeze(page, pair)
        mid, micro = Decimal(data["mid"]), Decimal(data["microprice"])
        places = data["price_decimals"]
        assert texts(page, "#across-body .mid-mid") == [f"Mid {mid:,.{places + 1}f}", f"Micro {micro:,.{places + 2}f}"]
        best = [plain(data[side]["price"], places) for side in ("ask", "bid")]
        assert texts(page, "#across-body .mid-best") == best
        assert "10 levels" in page.locator("#across-foot").inner_text()

    def test_grouping_and_units_and_the_switch(self, open_page: Any, pair: Any) -> None:
        page = across(open_page)
        page.locator("#across-tools").get_by_label("Group more").click()
        page.keyboard.press("]")
        until(page, f"{LIVE} && {DRAWN}")
        assert page.locator("#across-tools select").input_value() == "0.05"
        data = freeze(page, pair, "across@0.05:BTC/USDT")
        check_rows(page, data)
        # Without an exchange, best prices come from the ungrouped books, though the rows are grouped.
        page.locator("[data-leg=kraken]").click()
        until(page, f"{LIVE} && {DRAWN}")
        fine = pair.tell("frame", topic=ACROSS)["data"]["legs"][0]
        until(page, text_is("#across-body .mid-best", plain(fine["asks"][0][0], 2)))
        page.keyboard.press("u")
        until(page, "document.querySelector('#across-columns').textContent.includes('Size (USDT)')")
        page.keyboard.press("b")
        until(page, "document.querySelector('#book-all').hidden && !document.querySelector('#book-one').hidden")
        page.reload()
        until(page, "document.querySelector('#ladder-state .badge')?.dataset.state === 'LIVE'")
        assert page.locator("#book-all").is_hidden(), "it is remembered"

    def test_a_price_is_copied(self, open_page: Any, pair: Any) -> None:
        page = across(open_page)
        page.locator(f"#across-body {row('ask', 2, '.ladder-price')}").click()
        until(page, "/^(Copied [0-9.]+|The browser does not)/.test(document.querySelector('#toast').textContent)")

    def test_tied_quotes_say_their_rate(self, open_page: Any, pair: Any) -> None:
        pair.tell("together", ties={"ETH/USDT": ["0.9998", "0.9999"]})
        page = open_page(prefs=PREFS)
        until(page, f"{LIVE} && {DRAWN}")
        assert page.locator(".chips-rates").is_hidden(), "nothing is tied to BTC/USDT"
        pair.tell("reset")
        pair.tell("together", ties={"BTC/USD": ["0.9998", "0.9999"]})
        until(page, "document.querySelectorAll('.chip').length === 2", 20)
        until(page, text_is(".chips-rates", "USD × 0.9998 bid, 0.9999 ask (kraken USDT/USD)"))
        assert page.locator("[data-leg='kraken USD']").is_visible()


class TestMatrix:
    def test_cells_are_the_frames_and_say_why_there_is_none(self, open_page: Any, eight: Any) -> None:
        eight.tell("market", key="okx:BTC/USDT", state="STALE", reason="No data for 5 s or more.")
        page = across(open_page)
        until(page, "document.querySelectorAll('.matrix-table button').length === 56")
        data = freeze(page, eight, MATRIX)
        for pair in data["pairs"]:
            cell = page.locator(f".matrix-table button[data-at='{pair['buy']} {pair['sell']}']")
            text = cell.locator(".cell-bps").inner_text()
            if pair["net_bps"] is None:
                assert text == "–" and cell.locator(".cell-since").inner_text() == "no book"
                assert "STALE" in cell.get_attribute("aria-label")
                continue
            net = Decimal(pair["net_bps"])
            assert abs(Decimal(text.replace("−", "-").replace("+", "")) - net) <= Decimal("0.1")
            assert text.startswith("+" if net > 0 else "−")
        assert "STALE" in page.locator(".matrix-table tbody th.gone").inner_text()

    def test_pointing_tells_all_and_a_click_opens_the_books(self, open_page: Any, eight: Any) -> None:
        page = across(open_page)
        until(page, "document.querySelectorAll('.matrix-table button').length === 56")
        data = freeze(page, eight, MATRIX)
        page.locator("[data-at='2 0']").hover()
        page.locator(".matrix-tip").wait_for(state="visible")
        tip = page.locator(".matrix-tip").inner_text()
        for part in ("Buy on Bybit, sell on Binance", "Gross", "Buy average", "Fees", "10 + 10", "Ages", "Above zero"):
            assert part in tip
        box = page.locator(".matrix-tip").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1440 and box["y"] + box["height"] <= 900
        page.locator("[data-at='2 0']").click()
        until(page, "document.querySelector('.matrix-table [aria-pressed=true]')?.dataset.at === '2 0'")
        until(page, text_is(".pair-side[data-side=asks] .ex-long", "Bybit"))
        assert page.locator(".pair-side[data-side=bids] .ex-long").inner_text() == "Binance"
        self.check_walk(page, eight.tell("frame", topic=ACROSS)["data"], 2, 0, Decimal(data["size"]))
        page.get_by_role("button", name="Swap").click()
        until(page, text_is(".pair-side[data-side=asks] .ex-long", "Binance"))
        page.reload()
        until(page, text_is(".pair-side[data-side=bids] .ex-long", "Bybit"))

    def check_walk(self, page: Any, data: dict[str, Any], buy: int, sell: int, size: Decimal) -> None:
        for side, leg in (("asks", buy), ("bids", sell)):
            left, walked = size, 0
            for _, amount in data["legs"][leg][side]:
                if left > 0:
                    walked += 1
                    left -= Decimal(amount).scaleb(-data["size_decimals"])
            rows = page.locator(f".pair-side[data-side={side}] .pair-row.walked")
            assert rows.count() == walked
            prices = texts(page, f".pair-side[data-side={side}] .pair-price")
            assert prices == [plain(price, data["price_decimals"]) for price, _ in data["legs"][leg][side]]

    def test_size_and_fees(self, open_page: Any, eight: Any) -> None:
        page = across(open_page)
        size = page.get_by_label("Size in base currency")
        assert size.input_value() == "0.1"
        page.keyboard.press(".")
        until(page, "document.querySelector('.size-input').value === '0.2'")
        page.get_by_role("button", name="Maker").click()
        until(page, "document.querySelector('.matrix-table thead th:nth-child(3)')?.textContent.includes('25')")
        assert "matrix@0.2,maker:BTC/USDT" in asked(eight)
        size.fill("500")
        size.press("Enter")
        until(page, "[...document.querySelectorAll('.cell-since')].some(one => one.textContent === 'depth')")
        page.locator("[data-at='0 1']").hover()
        until(page, "document.querySelector('.matrix-tip .pair-reason').textContent.includes('only')")
        size.fill("-3")
        size.press("Enter")
        until(page, "document.querySelector('.size-input').value === '500'")  # what is no size changes nothing
        page.reload()
        until(page, "document.querySelector('.size-input')?.value === '500'")

    def test_by_keyboard(self, open_page: Any, eight: Any) -> None:
        page = open_page(prefs={"sizes": {"BTC/USDT": "0.1"}})
        page.keyboard.press("a")
        until(page, f"{LIVE} && {DRAWN}")
        until(page, "document.querySelectorAll('.matrix-table button').length === 56")
        page.locator(".matrix-table button[data-at='5 6']").click()
        until(page, "document.querySelector('.matrix-table [aria-pressed=true]')?.dataset.at === '5 6'")
        page.evaluate(CHOOSE_AND_FOCUS)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")  # over the diagonal
        assert page.evaluate("document.activeElement.dataset.at") == "3 2"
        page.locator(".matrix-tip").wait_for(state="visible")
        page.keyboard.press("Enter")
        until(page, text_is(".pair-side[data-side=asks] .ex-long", "OKX"))
        page.keyboard.press("a")
        assert page.locator("#matrix").is_hidden() and page.locator("#chart").is_visible()

    def test_its_key_goes_to_the_chosen_pair_from_another_view(self, open_page: Any, eight: Any) -> None:
        page = across(open_page)
        until(page, "document.querySelectorAll('.matrix-table button').length === 56")
        page.locator(".matrix-table button[data-at='5 6']").click()
        page.keyboard.press("a")
        until(page, "document.querySelector('#matrix').checkVisibility() === false")
        page.keyboard.press("m")
        until(page, "document.activeElement?.dataset.at === '5 6'")

    def test_one_exchange_alone_says_so(self, open_page: Any) -> None:
        page = across(open_page)
        until(page, "document.querySelector('.matrix .note').textContent.startsWith('Binance alone has BTC/USDT')")
        assert page.locator(".matrix-table").is_hidden()


def test_what_is_not_seen_is_not_asked_for(open_page: Any, eight: Any) -> None:
    page = across(open_page)
    until(page, "document.querySelectorAll('.matrix-table button').length === 56")
    assert {ACROSS, MATRIX} <= set(asked(eight))
    page.keyboard.press("a")
    until(page, "document.querySelector('#ladder-state .badge')?.dataset.state === 'LIVE'")
    told(page, lambda: not [topic for topic in asked(eight) if topic.startswith(("across", "matrix"))])
    assert BOOK in asked(eight)


def test_silence_makes_all_of_it_stale(open_page: Any, pair: Any) -> None:
    page = across(open_page)
    until(page, "document.querySelectorAll('.matrix-table button').length === 2")
    pair.tell("set", mute=True)
    until(page, "document.querySelector('#across-body').classList.contains('stale')", 8)
    until(page, "document.querySelector('.matrix-table').classList.contains('stale')")
    until(page, "document.querySelector('#pair-body').classList.contains('stale')")
    until(page, "document.querySelectorAll('.chip.gone').length === 2")
    pair.tell("set", mute=False)
    until(page, f"{LIVE} && document.querySelectorAll('.chip.gone').length === 0")


@pytest.mark.slow
def test_nothing_grows(open_page: Any, eight: Any) -> None:
    nodes = """() => {
      const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
      let count = 0;
      while (walker.nextNode()) count += 1;
      return count;
    }"""
    page = across(open_page)
    until(page, "document.querySelectorAll('.matrix-table button').length === 56")
    painted(page, eight, ACROSS, MATRIX, later=3)
    before = page.evaluate(nodes)
    for round_ in range(6):
        eight.tell("market", key="okx:BTC/USDT", state="STALE" if round_ % 2 else "LIVE", reason="")
        page.keyboard.press("j" if round_ % 2 else "k")
        until(page, f"{LIVE} && {DRAWN}")
        symbol = page.locator("#market .market-pair").inner_text()
        painted(page, eight, f"across:{symbol}", later=3)
    assert abs(page.evaluate(nodes) - before) < 60
