"""The metrics of a process that delivers. No label names a user: a reason is one of ours, without its codes."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class DeliveryMetrics:
    """What this process has done since it started."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "rollbook_delivery_attempts",
            "Attempts to hand a message over, by what became of them: sent, delivered, failed, undeliverable or"
            " token_gone.",
            ["channel", "outcome", "reason"],
            registry=registry,
        )
        self.seconds = Histogram(
            "rollbook_delivery_seconds",
            "Time of an attempt, its rendering included.",
            ["channel"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.claimed = Counter("rollbook_deliveries_claimed", "Deliveries claimed.", ["channel"], registry=registry)
        self.released = Counter(
            "rollbook_deliveries_released",
            "Deliveries put back before they were begun.",
            ["channel"],
            registry=registry,
        )
        self.paused = Gauge(
            "rollbook_channel_paused",
            "Whether the channel waits because all of its messages would fail now.",
            ["channel"],
            registry=registry,
        )
        self.stopped = Gauge(
            "rollbook_channel_stopped",
            "Whether the other side of the channel wants no more messages: nothing is claimed until the channel is"
            " configured anew.",
            ["channel"],
            registry=registry,
        )
