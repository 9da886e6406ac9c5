"""Writes each job as a row of `rollbook_outbox`, within a transaction of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rollbook.publishing.outbox_insert import row_inserter
from rollbook.publishing.spans import create_span
from rollbook_shared.database.schema import DEFAULT_SCHEMA, outbox_name
from rollbook_shared.errors import NotConfigured
from rollbook_shared.jobs.codec import digest, encode

if TYPE_CHECKING:
    from rollbook_shared.jobs.models import Job

_UNDEFINED_TABLE: Final = "42P01"


class OutboxPublisher:
    """Writes jobs into the outbox. Belongs to one transaction, and to the thread that runs it."""

    def __init__(self, transaction: Any, schema: str = DEFAULT_SCHEMA) -> None:
        """Prepare to write with what the application runs its statements with; see `Rollbook.outbox`.

        schema: of the Rollbook for which the jobs are.

        Raises:
            TypeError: rows cannot be written with it.
        """
        self._schema = schema
        self._execute = row_inserter(transaction, schema)

    def publish(self, job: Job) -> None:
        """Write the row. Writing the same job again, under its id, changes nothing.

        Raises:
            NotConfigured: the table is missing; the transaction is aborted, as after any failed statement.
        """
        body = encode(job)
        try:
            with create_span(job.id, job.kind) as trace:
                self._execute(trace=trace, id=job.id, digest=digest(body), kind=job.kind, body=body)
        except Exception as error:
            if (failure := missing_table(error, self._schema)) is not None:
                raise failure from error
            raise

    def close(self) -> None:
        """Do nothing: the transaction is the application's."""


def missing_table(error: Exception, schema: str) -> NotConfigured | None:
    """What to raise in place of the error of a missing table; None for any other error, from which the row is removed.

    SQLAlchemy would quote the row in its message, and the row holds personal data.
    """
    if hasattr(error, "hide_parameters"):
        error.hide_parameters = True
    if _sqlstate(error) != _UNDEFINED_TABLE:
        return None
    return NotConfigured(f"the table {outbox_name(schema)} is missing; see `rollbook outbox create`")


def _sqlstate(error: BaseException) -> str | None:
    """The SQLSTATE of the error, of any driver, also if it is wrapped."""
    for each in (error, getattr(error, "orig", None), error.__cause__):
        for name in ("sqlstate", "pgcode"):
            if code := getattr(each, name, None):
                return str(code)
    return None
