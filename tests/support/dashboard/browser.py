"""The system's Chromium without a window, and Flower's pages in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

# First the one without windows, which takes half of the processor time of the others: to start, and for each page.
_NAMES: Final = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
# No connections to other machines.
_QUIET: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def chromium() -> str | None:
    """Return the path of the system's Chromium, or None if there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a Chromium with a temporary profile."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # as root it starts only without a sandbox
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
_DETAILS: Final = """
rows => rows.map(row => [row.querySelector("dt").innerText, row.querySelector("dd").innerText.trim()])
"""
_CELLS_OF_QUEUE: Final = "rows => rows.map(row => [row.cells[0].innerText, row.cells[1].innerText])"
Row = dict[str, str]
"""A row of the table of tasks, by the headings of its columns."""


class Tasks:
    """Flower's page of tasks."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url

    def open(self, search: str = "") -> dict[str, Row]:
        """Load the page, search for tasks, and return the rows by job id."""
        self.page.goto(f"{self._url}/tasks")
        self.page.get_by_label("Tasks per page").select_option("100")
        if search:
            self.search(search)
        return self.rows()

    def details(self, task_id: str) -> dict[str, str]:
        """Open a task's own page, and return what it lists."""
        self.page.goto(f"{self._url}/task/{task_id}", wait_until="domcontentloaded")
        return dict(self.page.locator(".detail-row").evaluate_all(_DETAILS))

    def queues(self) -> dict[str, str]:
        """Open the page of the broker, and return the number of messages of each queue, in the order shown."""
        self.page.goto(f"{self._url}/broker", wait_until="domcontentloaded")
        return dict(self.page.locator("#queue-table tbody tr[id]").evaluate_all(_CELLS_OF_QUEUE))

    def search(self, text: str) -> None:
        """Type into the search box, and wait for the result."""
        with self.page.expect_response("**/tasks/datatable"):
            self.page.get_by_placeholder("state:").fill(text)

    def press(self, state: str) -> dict[str, Row]:
        """Press one of the buttons above the table, and return the rows that are left."""
        with self.page.expect_response("**/tasks/datatable"):
            self.page.get_by_role("button", name=state).click()
        return self.rows()

    def rows(self) -> dict[str, Row]:
        """Return the rows in the order in which they are shown."""
        self.page.locator("#tasks-table_processing").wait_for(state="hidden")
        headings = self.page.locator("#tasks-table_wrapper .dataTables_scrollHead th").all_inner_texts()
        lines = self.page.locator("#tasks-table tbody tr[id]").evaluate_all(_CELLS)
        return {id_: dict(zip(headings, cells, strict=True)) for id_, *cells in lines}

    def colour(self, job_id: str) -> str:
        """Return the colour of a job's state."""
        badge = self.page.locator(f'#tasks-table tr[id="{job_id}"] .badge')
        return str(badge.evaluate("badge => getComputedStyle(badge).backgroundColor"))
