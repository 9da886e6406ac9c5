"""Checks deliveries: channels whose deliveries no sender claims, that reach no recipient, and that always fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import psycopg

from rollbook_ops.formatting import format_count, format_duration
from rollbook_shared.errors import NotConfigured
from rollbook_shared.observability.findings import Finding, ok, problem, warning
from rollbook_shared.observability.inspection import (
    DueDeliveries,
    RecentDeliveries,
    find_due_deliveries,
    find_recent_deliveries,
)
from rollbook_shared.registry import Channel, DeliveryMethod, RegistryFile
from rollbook_shared.settings import Settings

LATE_SECONDS: Final = 60.0
"""A sender that runs claims within a second; one whose other side is away waits for up to a minute between tries."""
VERY_LATE_SECONDS: Final = 600.0
ENOUGH: Final = 10
"""Deliveries that say something of a channel: fewer may have the same bad luck."""
NO_ADDRESS: Final = "no address"


def check_deliveries(connection: psycopg.Connection, settings: Settings) -> Iterator[Finding]:
    """Check each channel; if all are well, one finding says so. Raises psycopg's errors."""
    channels = _channels(settings)
    found = [
        *_late(find_due_deliveries(connection), channels),
        *_failing(find_recent_deliveries(connection), channels),
    ]
    yield from found or [ok("deliveries", "no channel is late or always fails")]


def _late(due: Sequence[DueDeliveries], channels: dict[str, Channel]) -> Iterator[Finding]:
    for each in due:
        if each.oldest < LATE_SECONDS:
            continue
        count = format_count(each.count, "delivery")
        summary = f"{each.channel}: {count} due and not claimed, the first for {format_duration(each.oldest)}"
        channel = channels.get(each.channel)
        if channel is not None and channel.delivery is DeliveryMethod.CLAIM:
            advice = "Does the application's sender run, and claim this channel?"
        else:
            advice = f"Does `rollbook deliver` run, and deliver {each.channel}? Its log says whether the channel waits."
        yield (problem if each.oldest >= VERY_LATE_SECONDS else warning)("deliveries", summary, advice)


def _failing(recent: Sequence[RecentDeliveries], channels: dict[str, Channel]) -> Iterator[Finding]:
    for each in recent:
        total, sent = sum(each.states.values()), each.states.get("sent", 0) + each.states.get("delivered", 0)
        if total < ENOUGH or sent:
            continue
        count = format_count(total, "delivery")
        channel = channels.get(each.channel)
        if each.reasons.get(("skipped", NO_ADDRESS), 0) == total:
            needs = "" if channel is None or channel.needs is None else f" ({channel.needs})"
            summary = f"{each.channel}: none of {count} of the last day had an address{needs}"
            yield warning("deliveries", summary, f"Does `needs` of {each.channel} name what your users have?")
        elif failed := each.states.get("failed", 0) + each.states.get("undeliverable", 0):
            summary = (
                f"{each.channel}: {failed} of {count} of the last day failed, and none was sent{_why(each, channel)}"
            )
            advice = "See docs/how-to/runbook.md#messages-are-not-delivered."
            yield warning("deliveries", summary, advice)


def _why(recent: RecentDeliveries, channel: Channel | None) -> str:
    """The most frequent reason, of senders of ours: those of an application may hold personal data."""
    if channel is None or channel.delivery in (None, DeliveryMethod.CLAIM, DeliveryMethod.CELERY):
        return ""
    failures = {reason: n for (state, reason), n in recent.reasons.items() if state in ("failed", "undeliverable")}
    return f": {max(failures, key=failures.__getitem__)}" if failures else ""


def _channels(settings: Settings) -> dict[str, Channel]:
    """The channels of the registry; none if it cannot be used, which the processes say that need it."""
    try:
        return dict(RegistryFile(settings.registry).current.channels)
    except NotConfigured:
        return {}
