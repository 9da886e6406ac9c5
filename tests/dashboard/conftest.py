"""A local stack, and Flower in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from tests.support.dashboard.browser import Tasks, browser, chromium
from tests.support.dashboard.sample_jobs import LOCK_TIMEOUT_SECONDS
from tests.support.waits import DEADLINE_SECONDS

from rollbook import Rollbook
from rollbook_ops.devstack.stack import LocalStack


@pytest.fixture(scope="module")
def chromium_browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def stack(chromium_browser: Browser, database_url: str, broker_url: str) -> Iterator[LocalStack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROLLBOOK_LOCK_TIMEOUT_SECONDS", str(LOCK_TIMEOUT_SECONDS))
        with LocalStack(database_url=database_url, broker_url=broker_url) as stack:
            yield stack


@pytest.fixture(scope="module")
def flower_address(stack: LocalStack) -> str:
    """Flower's URL without the password."""
    assert stack.flower_url
    parts = urlsplit(stack.flower_url)
    return f"http://{parts.hostname}:{parts.port}"


@pytest.fixture(scope="module")
def rb(stack: LocalStack) -> Iterator[Rollbook]:
    with Rollbook(database_url=stack.database_url, broker_url=stack.broker_url) as rb:
        yield rb


@pytest.fixture(scope="module")
def context(chromium_browser: Browser) -> Iterator[BrowserContext]:
    """Flower's scripts are loaded and compiled once for the module."""
    with chromium_browser.new_context(viewport={"width": 1600, "height": 1000}) as context:
        context.set_default_timeout(DEADLINE_SECONDS * 1_000)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that remembers nothing of the test before."""
    page = context.new_page()
    yield page
    page.evaluate("() => { localStorage.clear(); sessionStorage.clear() }")
    page.close()


@pytest.fixture
def tasks(page: Page, stack: LocalStack) -> Tasks:
    assert stack.flower_url
    return Tasks(page, stack.flower_url)
