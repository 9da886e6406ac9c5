"""Jobs of a Django transaction: sent after its commit, dropped with what is rolled back.

    from rollbook.django import on_commit

    with transaction.atomic():
        user = User.objects.create_user(...)
        on_commit(rb).users.identify(str(user.pk), {"email": user.email})

It uses Django's `transaction.on_commit`, so it respects savepoints, and outside of a transaction sends jobs at once.

It needs no table, and promises nothing after the commit: until they are sent, the jobs are in memory only. A process
that dies between the commit and the sending loses them without an error. A job that the broker does not take is logged,
or given to `on_failure`. If no job may be lost, use the outbox: `rb.outbox(connection)` with `django.db.connection`,
and the table of `rollbook.outbox` by `migrations.RunSQL(list(CREATE_TABLE), list(DROP_TABLE))`.

The transaction of a `TestCase` never commits; see Django's `captureOnCommitCallbacks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from rollbook.publishing.after_commit import OnFailure, log_failure, publish_committed

if TYPE_CHECKING:
    from rollbook.client import Rollbook
    from rollbook.publishing import Publisher
    from rollbook_shared.jobs.models import Job

__all__ = ["on_commit"]


def on_commit(rollbook: Rollbook, *, using: str | None = None, on_failure: OnFailure = log_failure) -> Rollbook:
    """A client whose jobs are sent, in their order, when the current transaction is committed.

    using: the alias of the database of the transaction; by default Django's default database.
    on_failure: called with each job that the broker did not take, and its `NotSent`; by default an error is logged.
        What it raises comes out of the application's `atomic()` block, although the data are committed.

    Raises:
        NotConfigured: there is no broker URL.
    """
    return rollbook.with_publisher(_OnCommit(rollbook.publisher, using, on_failure))


class _OnCommit:
    def __init__(self, publisher: Publisher, using: str | None, on_failure: OnFailure) -> None:
        self._publisher = publisher
        self._using = using
        self._on_failure = on_failure

    def publish(self, job: Job) -> None:
        def publish_job() -> None:
            publish_committed(self._publisher, job, self._on_failure)

        transaction.on_commit(publish_job, using=self._using)

    def close(self) -> None:
        """Do nothing: the publisher belongs to the client."""
