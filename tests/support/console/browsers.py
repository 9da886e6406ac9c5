"""The console in a real browser: a page that is logged in, what axe-core finds, and what the browser complains of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect
from tests.support.console.visitors import Visitor
from tests.support.repository import ROOT
from tests.support.server.official_clients import installed_clients
from tests.support.waits import DEADLINE_SECONDS

PICTURES: Final = "ROLLBOOK_WRITE_PICTURES"
"""Where it is set, the pictures of the documentation are written: `./run pytest tests/console -k picture`."""
OPEN_ALL: Final = "document.querySelectorAll('details').forEach(each => { each.name = ''; each.open = true })"
"""Opens all that a page holds back."""
_AXE = "async () => (await axe.run({ resultTypes: ['violations'] })).violations"
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
expect.set_options(timeout=DEADLINE_SECONDS * 1_000)


class ConsolePage:
    """A page of the console, in a profile of its own."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url
        self.complaints: list[str] = []
        """What the browser said of errors in scripts, and of what the policy of the page forbids."""
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def open(self, path: str = "") -> Page:
        """Load a page below `/console`."""
        self.page.goto(f"{self._url}/console{path}")
        return self.page

    def is_too_wide(self) -> bool:
        """Whether one has to scroll the page itself sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def accessibility_findings(self) -> list[str]:
        """What axe-core finds: the rule, and where."""
        self.page.evaluate((installed_clients() / "node_modules" / "axe-core" / "axe.min.js").read_text())
        found: list[dict[str, Any]] = self.page.evaluate(_AXE)
        return [f"{each['id']}: {[node['target'] for node in each['nodes']][:3]} {each['help']}" for each in found]

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:  # that a page was rejected is no fault of it
            self.complaints.append(text)


@contextmanager
def console_page(browser: Browser, visitor: Visitor | None, url: str, **options: Any) -> Iterator[ConsolePage]:
    """A page, logged in as the visitor is; None: without a login.

    options: those of a context of Playwright, such as `color_scheme` and `viewport`.
    """
    with browser.new_context(**{"viewport": WIDE, "base_url": url, **options}) as context:
        context.set_default_timeout(DEADLINE_SECONDS * 1_000)
        if visitor is not None:
            context.add_cookies(
                [
                    {"name": cookie.name, "value": cookie.value or "", "url": f"{url}/console"}
                    for cookie in visitor.http.cookies.jar
                ]
            )
        yield ConsolePage(context.new_page(), url)


def pictures(otherwise: Path) -> Path:
    """The folder of the pictures of the documentation, if they are to be written; otherwise another one."""
    return ROOT / "docs" / "pictures" if os.environ.get(PICTURES) else otherwise


def picture(page: ConsolePage, folder: Path, name: str) -> Path:
    """Take a picture for the documentation; return the file."""
    file = folder / f"{name}.png"
    page.page.mouse.move(0, 0)
    page.page.screenshot(path=file)
    return file
