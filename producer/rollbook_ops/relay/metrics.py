"""The relay's metrics: counts what it does, and reads its outbox whenever Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rollbook_ops.relay.outbox_table import OutboxCounts, OutboxTable
from rollbook_shared.errors import RollbookError


class RelayMetrics:
    """What this relay has done since it started."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter(
            "rollbook_outbox_jobs",
            "Jobs of the outbox that were sent, not accepted by the broker, finished, or scheduled to be sent again.",
            ["event"],
            registry=registry,
        )
        self._failures = Counter(
            "rollbook_outbox_failures", "Failed runs of a step of the relay.", ["step"], registry=registry
        )

    def count_jobs(self, event: str, jobs: int) -> None:
        """`event`: sent, unsendable, finished or resend."""
        self._jobs.labels(event=event).inc(jobs)

    def count_failure(self, step: str) -> None:
        """`step`: send or reconcile."""
        self._failures.labels(step=step).inc()


class OutboxGauges(Collector):
    """How many jobs are in the outbox, and since when."""

    def __init__(self, url: str) -> None:
        self._url = url

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing, so that registering this collector does not query the database. See prometheus_client."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges, or nothing while the database is not available. See prometheus_client."""
        table = OutboxTable(self._url)
        try:
            counts: OutboxCounts = table.count()
        except RollbookError:
            return
        finally:
            table.close()
        yield GaugeMetricFamily("rollbook_outbox_unsent", "Jobs to be sent.", value=counts.unsent)
        yield GaugeMetricFamily(
            "rollbook_outbox_unsendable",
            "Jobs that the broker does not accept, although it accepts others.",
            value=counts.unsendable,
        )
        yield GaugeMetricFamily(
            "rollbook_outbox_unsendable_oldest_seconds",
            "Seconds since the oldest of these was written.",
            value=counts.oldest_unsendable_seconds or 0,
        )
        yield GaugeMetricFamily("rollbook_outbox_unfinished", "Jobs sent and not finished.", value=counts.unfinished)
        yield GaugeMetricFamily(
            "rollbook_outbox_oldest_seconds",
            "Seconds since the oldest job was written.",
            value=counts.oldest_seconds or 0,
        )


def register_relay_metrics(outbox_url: str) -> RelayMetrics:
    """Register the gauges of the outbox, and return the counters of this process's relay."""
    REGISTRY.register(OutboxGauges(outbox_url))
    return RelayMetrics(REGISTRY)
