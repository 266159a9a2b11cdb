"""Chromium and the stand-in server for the page's tests; skipped with a message where there is no Chromium.

SPREADBOARD_LATE_FRAMES_MS=400 makes every picture of the page so much later, as on a machine that is busy: a test, or a
control of the page, that looks at what is drawn instead of what is chosen fails then.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the page's tests need playwright")

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Chromium's path: $CHROMIUM or the system's; skips the test where there is none."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("the page's tests need Chromium (apt install chromium, or $CHROMIUM)")
    return found


LATE_FRAMES_MS = int(os.environ.get("SPREADBOARD_LATE_FRAMES_MS", "0"))
LATE_FRAMES = """
const drawNext = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) => setTimeout(() => drawNext(draw), %d);
"""


class Fake:
    """The stand-in server, in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.browser.fakeserver", "--port", "0"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://"), "the stand-in server did not start"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        with contextlib.suppress(AttributeError):
            self._process.stdout.close()

    def tell(self, what: str, **given: Any) -> Any:
        body = json.dumps(given).encode()
        request = urllib.request.Request(f"{self.url}/__fake/{what}", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """One Chromium for this folder. Not for the session: Playwright's loop runs while it lives, and the asynchronous
    tests of other folders need loops of their own."""
    if not (ROOT / "node_modules" / "lightweight-charts").is_dir():
        pytest.skip("the page's tests need the browser libraries (make setup, or npm ci)")
    with playwright.sync_playwright() as driver:
        chrome = driver.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield chrome
        chrome.close()


@pytest.fixture(scope="package")
def stand_in() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.stop()


@pytest.fixture
def fake(stand_in: Fake) -> Fake:
    stand_in.tell("reset")
    return stand_in


class Troubles(list[str]):
    """What a page complained about: errors, warnings, violations of the content security policy, missing files.

    A test that breaks the connection on purpose ``expects`` the browser's own words for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.expected: tuple[str, ...] = ()

    def expect(self, *parts: str) -> None:
        self.expected = parts

    def failed(self, request: Any) -> None:
        """A request that the page itself took back (another market was chosen) is no trouble."""
        if request.failure != "net::ERR_ABORTED":
            self.append(f"failed: {request.url} {request.failure}")

    def unexpected(self) -> list[str]:
        return [trouble for trouble in self if not any(part in trouble for part in self.expected)]


@pytest.fixture
def open_page(browser: Any, fake: Fake) -> Iterator[Any]:
    """Opens a page of the stand-in server; a test fails if a page that it opened complained."""
    contexts: list[Any] = []
    troubles = Troubles()

    def opened(
        path: str = "/",
        *,
        width: int = 1440,
        height: int = 900,
        prefs: dict[str, Any] | None = None,
        prepare: Callable[[Any], None] = lambda page: None,
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        if prefs is not None:
            # At the first load only: what the page itself keeps must survive a reload.
            script = "if (!localStorage.spreadboard) localStorage.spreadboard = " + json.dumps(json.dumps(prefs))
            context.add_init_script(script)
        if LATE_FRAMES_MS:
            context.add_init_script(LATE_FRAMES % LATE_FRAMES_MS)
        page = context.new_page()
        page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("requestfailed", lambda request: troubles.failed(request))
        page.set_default_timeout(15_000)
        prepare(page)
        page.goto(fake.url + path)
        return page

    opened.troubles = troubles
    yield opened
    for context in contexts:
        context.close()
    assert troubles.unexpected() == []
