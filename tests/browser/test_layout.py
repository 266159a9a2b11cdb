"""Sizes, themes, and the pages around the dashboard."""

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from tests.browser.looking import live, until

pytestmark = pytest.mark.browser

NO_SCROLL = "document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth"
PANELS = """() => [...document.querySelectorAll(".board > .panel")].filter(one => one.checkVisibility()).map(one => {
  const box = one.getBoundingClientRect();
  return [one.id, box.left, box.top, box.right, box.bottom];
})"""
SMALL = """() => [...document.querySelectorAll("button, a[href], select, input")]
  .filter(one => one.checkVisibility() && !one.matches(".chart-credit"))
  .map(one => [one.id || one.className || one.textContent, one.getBoundingClientRect().height])
  .filter(([, height]) => height < 40)"""
SECRETS = ("#new-key", "#new-secret", "#new-passphrase")


def test_theme_and_colours_stay(open_page: Any) -> None:
    page = live(open_page())
    page.keyboard.press("t")
    assert page.locator("html").get_attribute("data-theme") == "light"
    page.get_by_label("Account and settings").click()
    page.locator("label:has(input[value='blue-orange'])").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "light"
    assert page.locator("html").get_attribute("data-colours") == "blue-orange"


@pytest.mark.parametrize("tab", ["markets", "book", "chart", "trades", "across", "account"])
def test_phone(open_page: Any, tab: str) -> None:
    page = open_page(width=390, height=844, prefs={"phoneTab": tab})
    until(page, "document.querySelector('#link').dataset.state === 'LIVE'")
    assert page.evaluate(NO_SCROLL)
    assert page.evaluate(SMALL) == []
    assert all(box[3] <= 390 and box[4] <= 844 for box in page.evaluate(PANELS))
    page.locator("#phone-tabs").get_by_text("Chart").click()
    assert page.locator("#chart-canvas").is_visible()
    assert page.locator(".panel:visible").count() == 2  # market strip and chart


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (1920, 1080), (760, 900)])
def test_layouts_have_no_scroll_and_no_overlap(open_page: Any, width: int, height: int) -> None:
    page = live(open_page(width=width, height=height))
    assert page.evaluate(NO_SCROLL)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    boxes = page.evaluate(PANELS)
    assert len(boxes) == (8 if width >= 1360 else 6 if width >= 960 else 5)
    for i, (name, left, top, right, bottom) in enumerate(boxes):
        assert right <= width and bottom <= height, f"{name} leaves the window"
        for other, left2, top2, right2, bottom2 in boxes[i + 1 :]:
            apart = right <= left2 + 0.5 or right2 <= left + 0.5 or bottom <= top2 + 0.5 or bottom2 <= top + 0.5
            assert apart, f"{name} lies over {other}"


def test_accounts_page_seals_the_key(open_page: Any, fake: Any) -> None:
    private = PrivateKey.generate()
    fake.tell("set", public_key=b64encode(bytes(private.public_key)).decode())
    page = open_page("/accounts/")
    page.fill("#new-label", "Second")
    page.fill("#new-key", "abcdefghijklmnop")
    page.fill("#new-secret", "a very secret ünïcode")
    with page.expect_request(lambda request: request.method == "POST") as posted:
        page.get_by_role("button", name="Seal and add").click()
    assert "very secret" not in posted.value.post_data and "ghijkl" not in posted.value.post_data
    page.wait_for_load_state("networkidle")
    [post] = fake.tell("log")["posted"]
    assert post["csrf"]
    sealed = post["body"].pop("sealed")
    assert post["body"] == {
        "exchange": "binance",
        "label": "Second",
        "products": ["spot", "usdm"],
        "fingerprint": "abcd…op",
        "key_id": "test",
    }
    opened = json.loads(SealedBox(private).decrypt(b64decode(sealed)))
    assert opened == {"key": "abcdefghijklmnop", "secret": "a very secret ünïcode", "passphrase": ""}
    assert [page.input_value(field) for field in SECRETS] == ["", "", ""]


def test_secrets_leave_the_form_even_if_sealing_fails(open_page: Any, fake: Any) -> None:
    fake.tell("set", public_key="AAAA")
    page = open_page("/accounts/")
    page.fill("#new-label", "Second")
    page.fill("#new-key", "abcdefghijklmnop")
    page.fill("#new-secret", "secret")
    page.get_by_role("button", name="Seal and add").click()
    until(page, "document.querySelector('#new-status').textContent.includes('public key')")
    assert [page.input_value(field) for field in SECRETS] == ["", "", ""]
    assert fake.tell("log")["posted"] == []


@pytest.mark.parametrize("path", ["/accounts/", "/balances/", "/login/", "/nowhere/"])
def test_other_pages_are_quiet_and_fit_a_phone(open_page: Any, path: str) -> None:
    page = open_page(path, width=390, height=844)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(NO_SCROLL)
    assert page.locator("h1").is_visible()
