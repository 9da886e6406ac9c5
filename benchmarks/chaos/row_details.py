"""What activities and messages say about their trigger. The world of the reference has only their users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Any, Final

import psycopg

from rollbook_shared.domain.deterministic_ids import activity_id, message_id
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.jobs.models import Job, Trigger, UserUpdate

_DETAILS: Final = """
SELECT id::text, tenant, data, occurred_at FROM rollbook.owned_messages
UNION ALL
SELECT id::text, tenant, data, occurred_at FROM rollbook.owned_activities
"""

Details = Mapping[str, Mapping[str, Any]]
"""Row id -> its details."""


def read_details(connection: psycopg.Connection) -> Details:
    """The details in Postgres' views."""
    return {
        id_: {"tenant": tenant, "data": data, "occurred_at": at.astimezone(UTC).isoformat()}
        for id_, tenant, data, at in connection.execute(_DETAILS)
    }


def expected_details(jobs: Iterable[Job]) -> Details:
    """The details that the views should show, of all rows that the jobs may have made."""
    return {
        id_: {"tenant": job.tenant, "data": job.data, "occurred_at": datetime_of(job.occurred_at).isoformat()}
        for job in jobs
        if isinstance(job, Trigger)
        for id_ in _rows_of(job)
    }


def _rows_of(job: Trigger) -> Iterator[str]:
    for recipient in job.recipients:
        user_id = recipient.id if isinstance(recipient, UserUpdate) else recipient
        yield str(activity_id(job.id, user_id))
        for channel in job.channels:
            yield str(message_id(job.id, user_id, channel))
