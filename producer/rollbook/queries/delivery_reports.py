"""What senders report of deliveries, and what operators do with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final
from uuid import UUID

from rollbook.errors import DeliveryNotFound, LeaseLost
from rollbook.queries.query import Rows, Statement, Steps, write_query
from rollbook_shared.backoff import Backoff
from rollbook_shared.database.statements import load
from rollbook_shared.registry import Channel, Registry

if TYPE_CHECKING:
    from rollbook.models import DeliveryReport

BACKOFF: Final = Backoff(first=5.0, longest=900.0)
"""Of failed deliveries, in seconds. Postgres computes it, by the attempts that it knows: half of it is random."""
_SQL: Final = load(__package__, "delivery_reports")
_DEFAULT: Final = Channel(key="default", type="default")


@write_query
def report_delivery(report: DeliveryReport, registry: Registry) -> Steps[None]:
    """Keep a report, or raise: `LeaseLost`, `DeliveryNotFound`."""
    rows = yield from _report([report], registry)
    if not rows:
        raise DeliveryNotFound(report.id)
    if not rows[0]["counts"]:
        raise LeaseLost(report.id)


@write_query
def report_deliveries(reports: Sequence[DeliveryReport], registry: Registry) -> Steps[tuple[str, ...]]:
    """Keep the reports; the ids of those that do not count."""
    rows = yield from _report(reports, registry)
    counting = {str(row["id"]) for row in rows if row["counts"]}
    return tuple(report.id for report in reports if report.id not in counting)


@write_query
def cancel_delivery(delivery_id: UUID) -> Steps[bool]:
    """Cancel a delivery that waits; says whether it did."""
    return bool((yield Statement(_SQL["cancel"], {"id": delivery_id})))


@write_query
def retry_delivery(delivery_id: UUID, registry: Registry) -> Steps[bool]:
    """Let a delivery that was not sent be claimed again; says whether it did."""
    ages = {channel.key: int(channel.max_age.total_seconds()) for channel in registry.channels.values()}
    parameters = {
        "id": delivery_id,
        "max_ages": json.dumps(ages),
        "default_max_age": int(_DEFAULT.max_age.total_seconds()),
    }
    return bool((yield Statement(_SQL["retry"], parameters)))


def _report(reports: Sequence[DeliveryReport], registry: Registry) -> Steps[Rows]:
    attempts: Mapping[str, int] = {channel.key: channel.attempts for channel in registry.channels.values()}
    rows = [{"message_id": values.pop("id"), **values} for values in map(asdict, reports)]
    ids = [report.id for report in reports]
    yield Statement(_SQL["lock"], {"ids": ids})
    return (
        yield Statement(
            _SQL["report"],
            {
                "reports": json.dumps(rows),
                "ids": ids,
                "attempts": json.dumps(attempts),
                "default_attempts": _DEFAULT.attempts,
                "first": BACKOFF.first,
                "longest": BACKOFF.longest,
            },
        )
    )
