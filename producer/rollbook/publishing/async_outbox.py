"""Writes each job as a row of `rollbook_outbox`, within a transaction of the application, from a coroutine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rollbook.publishing.async_outbox_insert import async_row_inserter
from rollbook.publishing.outbox import missing_table
from rollbook.publishing.spans import create_span
from rollbook_shared.database.schema import DEFAULT_SCHEMA
from rollbook_shared.jobs.codec import digest, encode

if TYPE_CHECKING:
    from rollbook_shared.jobs.models import Job


class AsyncOutboxPublisher:
    """Writes jobs into the outbox. Belongs to one transaction, and to the task that runs it."""

    def __init__(self, transaction: Any, schema: str = DEFAULT_SCHEMA) -> None:
        """Prepare to write with what the application runs its statements with; see `AsyncRollbook.outbox`.

        schema: of the Rollbook for which the jobs are.

        Raises:
            TypeError: rows cannot be written with it.
        """
        self._schema = schema
        self._execute = async_row_inserter(transaction, schema)

    async def publish(self, job: Job) -> None:
        """Write the row. Writing the same job again, under its id, changes nothing.

        Raises:
            NotConfigured: the table is missing; the transaction is aborted, as after any failed statement.
        """
        body = encode(job)
        try:
            with create_span(job.id, job.kind) as trace:
                await self._execute(trace=trace, id=job.id, digest=digest(body), kind=job.kind, body=body)
        except Exception as error:
            if (failure := missing_table(error, self._schema)) is not None:
                raise failure from error
            raise

    async def aclose(self) -> None:
        """Do nothing: the transaction is the application's."""
