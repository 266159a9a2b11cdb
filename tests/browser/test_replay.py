"""The page of a replay: the real server, marked everywhere, and honest about the end."""

from pathlib import Path
from typing import Any

from tests.browser.looking import DRAWN, live, until
from tests.dashboard.test_recording import replay
from tests.shared import shared_file

TAGS = "[...document.querySelectorAll('.tag-replay')].filter((tag) => !tag.hidden && tag.textContent !== '').length"

WORDS = r"^REPLAY 2026-08-09 21:27:\d\d UTC · \d+ of 44\u2009s · ×6$"


def test_a_replay_is_marked_and_its_end_is_said(browser: Any, tmp_path: Path) -> None:
    path = shared_file("captures/bybit-2026-08.jsonl.gz")
    troubles: list[str] = []
    with replay(path, tmp_path, "--speed", "6") as (link, _):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(link)
        if "/signin/" in page.url:
            page.locator("main button, form button").first.click()
        live(page)
        until(page, f"/{WORDS}/.test(document.querySelector('#replay').textContent)")
        assert page.locator("#replay").is_visible() and not page.locator("#simulated").is_visible()
        assert page.title().startswith("REPLAY · ")
        # The bar, the strip, two rows of the list, two of the streams.
        until(page, f"{TAGS} === 6")
        assert page.locator(".market-line .tag-replay").text_content() == "REPLAY"
        page.keyboard.press("/")
        page.keyboard.type("BTC")
        until(page, "document.querySelectorAll('.palette-option .tag-replay').length === 2")
        page.keyboard.press("Escape")

        until(page, "document.querySelector('#replay').textContent.startsWith('REPLAY ENDED ')", 30)
        until(page, "document.querySelector('#ladder-state .badge').dataset.state === 'STALE'")
        until(page, "document.querySelector('#ladder-body').classList.contains('stale')")
        assert page.evaluate(DRAWN), "the last book stays, grey"
        until(page, "document.querySelector('#streams-body').textContent.includes('The recording has ended.')")
        until(page, "document.querySelector('#chart-note').hidden")
        context.close()
    assert troubles == []
