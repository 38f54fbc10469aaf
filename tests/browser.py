"""A browser for the tests of the page: Chromium, where there is one, and axe-core, where it is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True},
}
_ARGUMENTS = [
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


@contextmanager
def chromium(*more: str) -> Iterator[Any]:
    """A browser that runs, with ``more`` arguments; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=[*_ARGUMENTS, *more])
        yield running
        running.close()


def opened(browser: Any, address: str, look: str = "light", **more: Any) -> Any:
    """A page in a window of its own; what it says to the console is kept in ``said``."""
    page = browser.new_context(**LOOKS[look], **more).new_page()
    page.set_default_timeout(20_000)
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(address)
    return page


def until(page: Any, condition: str, *, seconds: float = 20.0) -> None:
    """Wait for it; the page's own policy forbids Playwright's way."""
    for _ in range(round(seconds / 0.05)):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within {seconds:g} s: {condition}; the page says {page.said}")


def axe_script() -> str:
    """The text of axe-core; the test is skipped where it isn't installed."""
    package = importlib.util.find_spec("axe_playwright_python")
    folders = [Path(folder) for folder in (package.submodule_search_locations or ())] if package else []
    places = [
        Path(os.environ.get("PITCHAI_AXE", "none")),
        ROOT / "node_modules/axe-core/axe.min.js",
        *(folder / "axe.min.js" for folder in folders),
    ]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        pytest.skip("axe-core is not installed: pip install axe-playwright-python")
    return found.read_text(encoding="utf-8")


def check_everybody_can_use(page: Any) -> None:
    """Fail if axe finds a violation or the page can be scrolled sideways."""
    # The page's own policy would keep a stranger's script out of an element.
    page.evaluate(axe_script())
    violations = page.evaluate("axe.run().then((found) => found.violations)")
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in violations] == []
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, "the page can be scrolled sideways"
