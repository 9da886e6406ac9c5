"""Counts and logs what happens in a channel: the channel's key, and reasons of ours, never an address or a message."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from rollbook.models import Delivery
from rollbook_delivery.results import Delivered, Failed, Result, Sent, TokenGone

if TYPE_CHECKING:
    from rollbook_delivery.process.metrics import DeliveryMetrics

logger: Final = logging.getLogger("rollbook.delivery")


class ChannelObserver:
    """See `DeliveryObserver`. A failure that repeats is logged once, until another one or a success comes."""

    def __init__(self, channel: str, metrics: DeliveryMetrics | None) -> None:
        """metrics: None: nothing is counted, because the extra `metrics` is not wanted."""
        self._channel = channel
        self._metrics = metrics
        self._logged = ""
        if metrics is not None:  # the series exist before the first event
            metrics.paused.labels(channel=channel).set(0)
            metrics.stopped.labels(channel=channel).set(0)

    def claimed(self, deliveries: int) -> None:
        """See `DeliveryObserver`."""
        if self._metrics is not None:
            self._metrics.claimed.labels(channel=self._channel).inc(deliveries)

    def released(self, deliveries: int) -> None:
        """See `DeliveryObserver`."""
        if self._metrics is not None:
            self._metrics.released.labels(channel=self._channel).inc(deliveries)

    def finished(self, delivery: Delivery, result: Result, seconds: float) -> None:
        """See `DeliveryObserver`."""
        outcome, reason = outcome_of(result)
        if self._metrics is not None:
            self._metrics.attempts.labels(channel=self._channel, outcome=outcome, reason=reason_class(reason)).inc()
            self._metrics.seconds.labels(channel=self._channel).observe(seconds)
        if reason and reason != self._logged:
            logger.warning("deliver: %s: %s: %s", self._channel, outcome, reason, extra={"message_id": delivery.id})
        self._logged = reason

    def paused(self, reason: str, seconds: float) -> None:
        """See `DeliveryObserver`."""
        if self._metrics is not None:
            self._metrics.paused.labels(channel=self._channel).set(1)
        logger.warning("deliver: %s waits for %.0f s: %s", self._channel, seconds, reason)

    def resumed(self) -> None:
        """See `DeliveryObserver`."""
        if self._metrics is not None:
            self._metrics.paused.labels(channel=self._channel).set(0)
        logger.info("deliver: %s works again", self._channel)

    def stopped(self, reason: str) -> None:
        """See `DeliveryObserver`."""
        if self._metrics is not None:
            self._metrics.stopped.labels(channel=self._channel).set(1)
        logger.error("deliver: %s is stopped: %s; change its options, or restart this process", self._channel, reason)


def outcome_of(result: Result) -> tuple[str, str]:
    """What became of an attempt in a word, and why it failed; empty if it did not."""
    match result:
        case Sent():
            return "sent", ""
        case Delivered():
            return "delivered", ""
        case TokenGone():
            return "token_gone", ""
        case Failed(permanent=True, reason=reason):
            return "undeliverable", reason
        case Failed(reason=reason):
            return "failed", reason


def reason_class(reason: str) -> str:
    """The reason without what makes many of it: codes of servers, files and lines of templates."""
    return "template" if reason.startswith("template ") else reason.partition(" (")[0]
