"""Portfolio, curve, blotter, notices and settings in Chromium against the stand-in server."""

from typing import Any

import pytest

from tests.browser.fakeportfolio import UNBEGUN, UNSOLD, UNTOLD
from tests.browser.looking import text_is, texts, told, until

pytestmark = pytest.mark.browser

TOTAL = "#worth .worth-total"
NO_SCROLL = "document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth"
SMALL = """() => [...document.querySelectorAll("button, a[href], select, input")]
  .filter(one => one.checkVisibility() && !one.matches(".chart-credit"))
  .map(one => [one.id || one.className || one.textContent, one.getBoundingClientRect().height])
  .filter(([, height]) => height < 40)"""


def rows(selector: str) -> str:
    return f"document.querySelectorAll('{selector} tbody tr').length"


def test_the_total_says_what_it_lacks(open_page: Any, fake: Any) -> None:
    page = open_page(prefs={"view": "trade"})
    page.keyboard.press("w")
    until(page, text_is(TOTAL, "61,250.50"))
    assert texts(page, "#worth .badge-word") == ["INCOMPLETE"]
    assert texts(page, "#worth .worth-trouble") == ["The total is incomplete. SHIB has no price in USDT."]
    [sol, usdt, shib] = texts(page, "#worth-assets tbody tr")
    assert "42,750.00" in sol and "75.0" in sol and "the currency itself" in sol
    assert "now · SOL → USDT · Binance" in usdt and "14,250.00" in usdt
    assert "no price" in shib and "not in the total" in shib
    assert "−5" in texts(page, "#worth-exposure tbody tr")[0]
    [holding] = texts(page, "#worth-holdings tbody tr")
    assert "90of 95" in holding and "120.00USDT" in holding and "+2,700.00+25.00" in holding
    until(page, "document.querySelector('#equity-canvas canvas')")
    assert texts(page, "#equity-state")[0].startswith("20 of 16")

    fake.tell("own", complete=True, equity="61300.25")
    until(page, text_is(TOTAL, "61,300.25"))
    assert texts(page, "#worth .badge-word") == ["LIVE"] and page.locator(".worth-trouble").is_hidden()
    fake.tell("set", mute=True)
    until(page, text_is("#worth .badge-word", "STALE"))
    assert page.locator("#overview").get_attribute("class").endswith("stale")


def test_figures_of_before_are_not_shown_as_present(open_page: Any, fake: Any) -> None:
    open_page.troubles.expect("WebSocket connection to", "failed: ws")
    page = open_page(prefs={"view": "portfolio"})
    until(page, text_is(TOTAL, "61,250.50"))
    page.keyboard.press("w")
    until(page, "!document.querySelector('#worth').checkVisibility()")
    told(page, lambda: not [one for one in fake.tell("log")["topics"][0] if one.startswith("portfolio:")])
    fake.tell("set", refusing=True)
    fake.tell("kill")
    until(page, "['DOWN', 'CONNECTING'].includes(document.querySelector('#link').dataset.state)")
    page.keyboard.press("w")
    until(page, "document.querySelector('#overview').classList.contains('stale')")
    until(page, "document.querySelector('.worth-trouble').textContent.startsWith('These figures are of before.')")
    assert page.locator(".worth-trouble").is_visible()
    fake.tell("set", refusing=False)
    until(page, "!document.querySelector('#overview').classList.contains('stale')", 20)


def test_no_curve_stands_under_another_name(open_page: Any, fake: Any) -> None:
    page = open_page(prefs={"view": "portfolio"})
    until(page, "!document.querySelector('#equity-legend').hidden")
    held: list[Any] = []
    page.route("**/api/equity/**", lambda route: held.append(route))
    page.locator("#equity-account").select_option("7")
    told(page, lambda: held)
    until(page, "document.querySelector('#equity-legend').hidden")
    assert texts(page, "#equity-note") == ["Reading the curve"] and texts(page, "#equity-state") == [""]
    held[0].continue_()
    until(page, "!document.querySelector('#equity-legend').hidden")


def stats(page: Any) -> dict[str, list[str]]:
    """Each figure beside the total, with the line below it."""
    told = texts(page, "#worth .worth-stat dt, #worth .worth-stat dd")
    return {told[at]: told[at + 1 : at + 3] for at in range(0, len(told), 3)}


def test_the_days_profit_is_what_the_equity_moved_by(open_page: Any, fake: Any) -> None:
    """What positions gained on days before is no profit of today; and what is not known is no figure."""
    fake.tell("own", complete=True)
    page = open_page(prefs={"view": "portfolio"})
    until(page, text_is(TOTAL, "61,250.50"))
    told = stats(page)
    assert list(told) == ["Today", "Realised today", "Unrealised", "Balances"]
    assert told["Today"][0] == "+310.20" and told["Today"][1].endswith("UTC, without transfers")
    assert told["Realised today"] == ["+12.50", "since midnight UTC"]
    assert told["Unrealised"] == ["+250.50", "open positions, since they were opened"]
    fake.tell("own", change=None, untold=True)
    until(page, "document.querySelector('#worth .worth-value').textContent === '–'")
    told = stats(page)
    assert told["Today"] == ["–", UNBEGUN] and told["Realised today"] == ["+12.50", UNSOLD]
    [holding] = texts(page, "#worth-holdings tbody tr")
    assert "–not known" in holding and "120.00" not in holding and "2,700" not in holding
    assert page.locator("#worth-holdings td.col-average").get_attribute("title") == UNTOLD


def test_the_blotter_pages_through_what_the_filters_leave(open_page: Any, fake: Any) -> None:
    fake.tell("fill", count=230)
    page = open_page(prefs={"view": "portfolio", "portfolioTab": "all-fills"})
    until(page, f"{rows('#all-fills')} === 100")
    newest = texts(page, "#all-fills tbody .col-time .cell-main")
    assert newest == sorted(newest, reverse=True)
    page.get_by_role("button", name="Further").click()
    until(page, "document.querySelector('#all-fills .pager').textContent.includes('Page 2')")
    older = texts(page, "#all-fills tbody .col-time .cell-main")
    assert len(older) == 100 and older[0] <= newest[-1]
    page.locator("[data-filter=side]:visible").select_option("sell")
    until(page, "document.querySelector('#all-fills .pager').textContent.includes('Page 1')")
    assert {text.split()[0] for text in texts(page, "#all-fills tbody .col-side")} == {"Sell"}
    href = page.locator(".filter-csv:visible").get_attribute("href")
    assert href == "/api/fills.csv?side=sell&sort=-time"
    page.get_by_role("button", name="Clear").click()
    until(page, f"{rows('#all-fills')} === 100")
    [made] = fake.tell("fill")
    until(page, f"document.querySelector('#all-fills .col-number .cell-main').textContent === '{made['order_id']}'")


def test_times_are_the_users_and_settings_are_kept(open_page: Any, fake: Any) -> None:
    open_page.troubles.expect("400 (Bad Request)")
    page = open_page(prefs={"view": "portfolio", "portfolioTab": "transfers"})
    until(page, f"{rows('#transfers')} === 4")
    before = texts(page, "#transfers .col-time .cell-main")[0]
    page.get_by_label("Account and settings").click()
    page.get_by_role("button", name="Settings", exact=True).click()
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    until(page, text_is(".settings-status", "Saved"))
    page.get_by_label("Profit in the title").click()
    until(page, "document.querySelector('#settings-title_profit').checked")
    page.locator("#settings-currency").select_option("EUR")
    until(page, text_is(".settings-status", "currency: the stand-in refuses EUR."))
    assert page.locator("#settings-currency").input_value() == "USDT"
    posted = fake.tell("log")["posted"]
    assert [post["body"] for post in posted[:2]] == [{"zone": "Asia/Tokyo"}, {"title_profit": True}]
    assert all(post["csrf"] for post in posted)
    page.get_by_role("button", name="Close").click()
    told(page, lambda: texts(page, "#transfers .col-time .cell-main")[0] > before)
    assert page.locator("#transfers .pager").inner_text().endswith("Asia/Tokyo")


def test_funding_stands_among_what_came_and_went(open_page: Any, fake: Any) -> None:
    page = open_page(prefs={"view": "portfolio", "portfolioTab": "transfers"})
    until(page, f"{rows('#transfers')} === 4")
    page.locator("#transfers [data-filter=kind]").select_option("funding")
    until(page, f"{rows('#transfers')} === 1")
    assert page.locator("#transfers td.col-kind").inner_text().split() == ["Funding", "spot", "·", "BTC/USDT:USDT"]
    assert page.locator("#transfers td.col-amount .cell-main").inner_text() == "−1.8342 USDT"
    assert page.locator("#transfers td.col-fee .cell-main").inner_text() == "–"
    page.locator("#transfers [data-filter=kind]").select_option("interest")
    nothing = "No transfers, funding or interest with these filters"
    until(page, f"document.querySelector('#transfers').innerText.includes('{nothing}')")
    page.get_by_role("button", name="Clear").click()
    until(page, f"{rows('#transfers')} === 4")


def test_a_notice_is_seen_wherever_one_looks(open_page: Any, fake: Any) -> None:
    page = open_page(prefs={"view": "trade"})
    until(page, "document.querySelector('#link').dataset.state === 'LIVE'")
    assert page.locator("#notices-chip").is_hidden()
    number = fake.tell("finding")["row"]
    until(page, "!document.querySelector('#notices-chip').hidden")
    page.locator("#notices-chip").click()
    until(page, f"{rows('#notices')} === 1")
    [row] = texts(page, "#notices tbody tr")
    assert "OPEN" in row and "1.2048" in row and "The balance of BTC differs" in row
    fake.tell("agreed", row=number)
    until(page, "document.querySelector('#notices tbody tr').classList.contains('resolved')")
    assert "They agree again." in texts(page, "#notices tbody tr")[0]
    assert page.locator("#notices-chip").is_hidden()


@pytest.mark.parametrize("tab", ["overview", "all-fills", "notices"])
def test_on_a_phone(open_page: Any, fake: Any, tab: str) -> None:
    fake.tell("finding")
    page = open_page(width=390, height=844, prefs={"phoneTab": "portfolio", "portfolioTab": tab})
    until(page, f"document.querySelectorAll('#{tab} td').length > 0")
    until(page, "document.querySelector('#link').dataset.state === 'LIVE'")
    assert page.evaluate(NO_SCROLL)
    assert page.evaluate(SMALL) == []


@pytest.mark.parametrize("width", [1440, 1024, 760])
def test_the_bar_holds_three_views_and_a_notice(open_page: Any, fake: Any, width: int) -> None:
    fake.tell("finding")
    page = open_page(width=width, height=768, prefs={"view": "portfolio"})
    until(page, "!document.querySelector('#notices-chip').hidden")
    until(page, "document.querySelector('#link-latency').textContent.includes('ms')")
    assert page.evaluate(NO_SCROLL)
