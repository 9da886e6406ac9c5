"""Jobs told within a transaction of Django are sent after its commit, and dropped with what is rolled back.

    from rollbook.django import on_commit

    with transaction.atomic():
        user = User.objects.create_user(...)
        on_commit(rb).users.identify(str(user.pk), {"email": user.email})

This is `transaction.on_commit`: savepoints included, and outside of a transaction jobs are sent at once. No table is
needed, and nothing is promised once the commit is done: until they are sent the jobs are in memory only. A process
that dies between commit and send has lost them without a trace; a broker that is away then makes each of them a line
in the log (or what `on_failure` makes of it). Where that will not do, use the outbox: `rb.outbox(connection)` with
`django.db.connection`, and the table by `migrations.RunSQL(list(CREATE_TABLE), list(DROP_TABLE))` of
`rollbook.publishing.outbox`.

In a `TestCase`, whose transaction never commits, see Django's `captureOnCommitCallbacks`.
"""

from __future__ import annotations

from django.db import transaction

from rollbook.client import Rollbook
from rollbook.publishing import Publisher
from rollbook.publishing.after_commit import OnFailure, log_failure, send_committed
from rollbook_shared.jobs.models import Job

__all__ = ["on_commit"]


def on_commit(rollbook: Rollbook, *, using: str | None = None, on_failure: OnFailure = log_failure) -> Rollbook:
    """The same face, whose jobs are sent in their order once the current transaction is committed.

    using: the alias of the database whose transaction it is; by default Django's default.
    on_failure: is told of each job that the broker did not take, with its `NotSent`; by default an error is logged.
        What it raises comes out of the end of the application's `atomic()`, though the data are in.

    Raises:
        NotConfigured: there is no broker URL.
    """
    return rollbook.with_publisher(_OnCommit(rollbook._context.publisher(), using, on_failure))


class _OnCommit:
    def __init__(self, publisher: Publisher, using: str | None, on_failure: OnFailure) -> None:
        self._publisher = publisher
        self._using = using
        self._on_failure = on_failure

    def publish(self, job: Job) -> None:
        def send_job() -> None:
            send_committed(self._publisher, job, self._on_failure)

        transaction.on_commit(send_job, using=self._using)

    def close(self) -> None:
        """Do nothing: the publisher belongs to the client."""
