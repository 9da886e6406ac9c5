"""The metrics of the server: counts what it does, and reads what is open whenever Prometheus asks.

A label is the template of a route, a status, or a word of ours: none holds an id, a key or anything else of a request.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rollbook_server.feed_watch import FeedWatch, ListenerKind
from rollbook_server.observability.recorder import Limit, Recorder

_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class ServerMetrics(Recorder):
    """What this process has done since it started."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "rollbook_http_requests",
            "Requests to the HTTP server by route and status; a feed socket counts as 101, or as what it would be"
            " answered as a request.",
            ["route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "rollbook_http_request_seconds",
            "Time until the answer was ready, the wait for a worker included; of an event stream until it began.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._overload = Counter(
            "rollbook_http_overload",
            "Requests (or listeners) that were answered with 503 because the process serves as many as it may.",
            ["limit"],
            registry=registry,
        )
        self._replays = Counter(
            "rollbook_http_replays",
            "Requests that were sent again under their idempotency key, and were the same job.",
            registry=registry,
        )
        self._unrendered = Counter(
            "rollbook_http_unrendered_items",
            "Feed items that were shown without content, because a template fails or takes too long.",
            registry=registry,
        )
        for limit in Limit:
            self._overload.labels(limit=limit.value)  # a rate needs the zero before the first

    def observe(self, running: Callable[[], int], feeds: FeedWatch) -> None:
        """See `Recorder`."""
        self._registry.register(_OpenGauges(running, feeds))

    def record_request(self, route: str, status: int, seconds: float | None = None) -> None:
        """See `Recorder`."""
        self._requests.labels(route=route, status=str(status)).inc()
        if seconds is not None:
            self._seconds.labels(route=route).observe(seconds)

    def record_overload(self, limit: Limit) -> None:
        """See `Recorder`."""
        self._overload.labels(limit=limit.value).inc()

    def record_unrendered(self, items: int) -> None:
        """See `Recorder`."""
        self._unrendered.inc(items)

    def record_replay(self) -> None:
        """See `Recorder`."""
        self._replays.inc()


class _OpenGauges(Collector):
    """What the process has open now."""

    def __init__(self, running: Callable[[], int], feeds: FeedWatch) -> None:
        self._running = running
        self._feeds = feeds

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See prometheus_client."""
        yield GaugeMetricFamily(
            "rollbook_http_requests_running", "Requests that are served now.", value=self._running()
        )
        listeners = GaugeMetricFamily(
            "rollbook_http_listeners", "Open feed sockets, and open streams of server-sent events.", labels=["kind"]
        )
        for kind in ListenerKind:
            listeners.add_metric([kind.value], self._feeds.listeners(kind))
        yield listeners
        yield GaugeMetricFamily("rollbook_http_watched_feeds", "Feeds that listeners follow.", value=self._feeds.feeds)


@functools.cache
def server_metrics() -> ServerMetrics:
    """This process's metrics."""
    return ServerMetrics(REGISTRY)
