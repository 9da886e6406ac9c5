"""Measurements: what waited and what was done in the last hour."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rollbook import queries

if TYPE_CHECKING:
    from rollbook.models import Measurement
    from rollbook.resources.context import ClientContext


class Measurements:
    """Read what waited and what was done in the last hour: queues, latencies, deliveries, workers, the outbox.

    Maintenance measures every ten seconds. Needs the database.
    """

    def __init__(self, context: ClientContext) -> None:
        self._context = context

    def list(self, *, since: datetime | None = None) -> tuple[Measurement, ...]:
        """Read the measurements, the oldest first: at most those of the last hour. None: maintenance does not run.

        since: only those after this aware datetime.

        Raises:
            InvalidRequest: the datetime has no time zone.
            NotConfigured: there is no database URL, the extra `read` is not installed, the tables are missing
                (`rollbook migrate`), or the role in the URL may not do this.
            Unavailable: the database does not answer; trying again later may succeed.
        """
        queries.check_since(since)
        return self._context.read(queries.find_measurements(since))
