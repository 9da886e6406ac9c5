"""Counts what a relay does, and looks at its outbox whenever Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rollbook_ops.relay.rows import Counts, Rows
from rollbook_shared.errors import RollbookError


class Counting:
    """What this relay has done since it began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter(
            "rollbook_outbox_jobs",
            "Jobs of the outbox that were sent, decided, or put back to be sent again.",
            ["event"],
            registry=registry,
        )
        self._failures = Counter(
            "rollbook_outbox_failures", "Turns of a relay that came to nothing.", ["half"], registry=registry
        )

    def happened(self, event: str, jobs: int) -> None:
        """`event`: sent, decided or again."""
        self._jobs.labels(event=event).inc(jobs)

    def failed(self, half: str) -> None:
        """`half`: sending or settling."""
        self._failures.labels(half=half).inc()


class Gauges(Collector):
    """How the outbox stands."""

    def __init__(self, url: str) -> None:
        self._url = url

    def describe(self) -> list[GaugeMetricFamily]:
        """See prometheus_client. Nothing, so that registering asks no database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See prometheus_client. Says nothing while the database is away."""
        rows = Rows(self._url)
        try:
            counts: Counts = rows.count()
        except RollbookError:
            return
        finally:
            rows.close()
        yield GaugeMetricFamily("rollbook_outbox_unsent", "Jobs to be sent.", value=counts.unsent)
        yield GaugeMetricFamily("rollbook_outbox_unfinished", "Jobs sent and not decided.", value=counts.unfinished)
        yield GaugeMetricFamily(
            "rollbook_outbox_oldest_seconds", "Since the oldest job was written.", value=counts.oldest_seconds or 0
        )


def count_relay(outbox_url: str) -> Counting:
    """Count what this process' relay does, and tell how its outbox stands."""
    REGISTRY.register(Gauges(outbox_url))
    return Counting(REGISTRY)
