"""Queries for the measurements of the last hour."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rollbook.models import Measurement
from rollbook.queries.query import Statement, Steps, query
from rollbook_shared.database.statements import load

_SQL: Final = load(__package__, "measurements")


@query
def find_measurements(since: datetime | None) -> Steps[tuple[Measurement, ...]]:
    """The measurements after a time, the oldest first."""
    rows = yield Statement(_SQL["since"], {"since": since})
    return tuple(Measurement(at=row["measured_at"], figures=row["figures"]) for row in rows)
