"""A headless Chromium of the system, and Flower's pages as a person sees them in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It has nothing to look for outside of this machine.
_QUIET: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def chromium() -> str | None:
    """Where the system's Chromium is; None: it has none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium with a profile of its own, which goes with it."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it starts only without
    with tempfile.TemporaryDirectory(prefix="rollbook-chromium-") as home, sync_playwright() as playwright:
        environment = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        browser = playwright.chromium.launch(
            executable_path=Path(chromium() or "chromium"), args=[*_QUIET, *sandbox], env={**environment}
        )
        try:
            yield browser
        finally:
            browser.close()


_CELLS: Final = """
lines => lines.map(line => [line.id, ...[...line.cells].map(cell => cell.innerText.replaceAll("\\n", ""))])
"""
Row = dict[str, str]
"""A line of the table of tasks, by the headings of its columns."""


class Tasks:
    """Flower's page of tasks."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url

    def open(self, search: str = "") -> dict[str, Row]:
        """Load the page, look for tasks as a person does, and read the lines: by the job's id."""
        self.page.goto(f"{self._url}/tasks")
        self.page.get_by_label("Tasks per page").select_option("100")
        if search:
            self.search(search)
        return self.rows()

    def search(self, text: str) -> None:
        """Type into the box, and wait for the answer."""
        with self.page.expect_response("**/tasks/datatable"):
            self.page.get_by_placeholder("state:").fill(text)

    def press(self, state: str) -> dict[str, Row]:
        """Press one of the buttons above the table; read the lines that are left."""
        with self.page.expect_response("**/tasks/datatable"):
            self.page.get_by_role("button", name=state).click()
        return self.rows()

    def rows(self) -> dict[str, Row]:
        """The lines that are shown, in their order."""
        self.page.locator("#tasks-table_processing").wait_for(state="hidden")
        headings = self.page.locator("#tasks-table_wrapper .dataTables_scrollHead th").all_inner_texts()
        lines = self.page.locator("#tasks-table tbody tr[id]").evaluate_all(_CELLS)
        return {id_: dict(zip(headings, cells, strict=True)) for id_, *cells in lines}

    def colour(self, job_id: str) -> str:
        """The colour in which the state of a job stands."""
        badge = self.page.locator(f'#tasks-table tr[id="{job_id}"] .badge')
        return str(badge.evaluate("badge => getComputedStyle(badge).backgroundColor"))
