"""The templates of feed items, which the HTTP server may not import: `rollbook serve` brings them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic, thread_time
from typing import Final

from rollbook.models import Content, Delivery
from rollbook_delivery.templates import RenderBounds, Renderer, TemplateError, TemplateNotFound
from rollbook_delivery.templates.renderer import render_content
from rollbook_server.feed_contents import RenderedItems
from rollbook_shared.registry import Channel

logger: Final = logging.getLogger("rollbook.server")

ITEM_SECONDS: Final = 0.1
"""Of the processor, for one item."""
PAGE_SECONDS: Final = 0.5
"""Of the processor, for all items of one read: others wait for the same processor."""
ITEM_CHARACTERS: Final = 65_536
"""Of each part of an item: a page holds fifty items."""
REFRESH_SECONDS: Final = 0.25
"""Between two looks at the folder. The renderer looks once a second itself; the server asks it in a thread, because a
folder on another machine may take long.
"""
LOG_SECONDS: Final = 60.0
"""A failure that repeats is logged once in this time."""
_MOST_LOGGED: Final = 1_000
"""Failures that are remembered."""


class FolderFeedTemplates:
    """See `FeedTemplates`."""

    def __init__(
        self,
        renderer: Renderer,
        *,
        item_seconds: float = ITEM_SECONDS,
        page_seconds: float = PAGE_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Render with the templates of this renderer's folder, within bounds of our own."""
        self._renderer = renderer
        self._item_seconds = item_seconds
        self._page_seconds = page_seconds
        self._clock = clock
        self._logged: dict[str, float] = {}
        self._templates = renderer.templates
        self._refreshed_at = clock()

    def is_stale(self) -> bool:
        """See `FeedTemplates`."""
        return self._clock() - self._refreshed_at >= REFRESH_SECONDS

    def refresh(self) -> None:
        """See `FeedTemplates`."""
        self._refreshed_at = self._clock()  # first: what others ask meanwhile is answered with what was read before
        self._templates = self._renderer.templates

    def has_template(self, workflow: str, channel: Channel) -> bool:
        """See `FeedTemplates`."""
        return self._templates.has_template(workflow, channel.key, channel.type)

    def render(self, items: Sequence[Delivery]) -> RenderedItems:
        """See `FeedTemplates`."""
        templates = self._templates
        end = thread_time() + self._page_seconds
        contents: dict[str, Content] = {}
        failed = 0
        for number, item in enumerate(items):
            left = end - thread_time()
            if left <= 0:
                failed += len(items) - number
                self._log(f"{len(items) - number} items: their page takes more than {self._page_seconds:g} s")
                break
            bounds = RenderBounds(characters=ITEM_CHARACTERS, cpu_seconds=min(left, self._item_seconds))
            try:
                contents[item.id] = render_content(templates, item, bounds)
            except TemplateNotFound:
                pass  # there is one for other locales
            except TemplateError as error:
                failed += 1
                self._log(f"template {error}")
            except Exception as error:  # without its text, which may quote the message
                failed += 1
                self._log(f"rendering failed unexpectedly ({type(error).__name__})")
        return RenderedItems(contents, failed)

    def _log(self, reason: str) -> None:
        now = self._clock()
        if now - self._logged.get(reason, -LOG_SECONDS) < LOG_SECONDS:
            return
        if len(self._logged) >= _MOST_LOGGED:
            self._logged.clear()
        self._logged[reason] = now
        logger.warning("feed items have no content: %s", reason)
