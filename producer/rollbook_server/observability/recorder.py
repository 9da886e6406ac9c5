"""What the server reports of its work, for metrics; nothing is recorded where there are none."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from rollbook_server.feed_watch import FeedWatch


class Limit(StrEnum):
    """A bound of one process, beyond which it answers 503."""

    REQUESTS = "requests"
    LISTENERS = "listeners"


class Recorder:
    """Takes note of nothing. A subclass keeps what it is given.

    route: the method and the path with placeholders, or `unknown`; never what the caller sent.
    """

    def observe(self, running: Callable[[], int], feeds: FeedWatch) -> None:
        """Whenever metrics are read, ask these for what there is now.

        running: how many requests are served.
        """

    def record_request(self, route: str, status: int, seconds: float | None = None) -> None:
        """A request was answered, or a stream has begun; None: how long it took says nothing."""

    def record_overload(self, limit: Limit) -> None:
        """A caller was sent away, because the process is at a limit."""

    def record_unrendered(self, items: int) -> None:
        """So many feed items were shown without content, because a template fails."""

    def record_replay(self) -> None:
        """An answer said that its request was made before."""
