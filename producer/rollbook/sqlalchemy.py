"""Jobs of a SQLAlchemy session: sent after its commit, dropped with what is rolled back.

    from rollbook.sqlalchemy import after_commit

    with Session(engine) as session, session.begin():
        session.add(account)
        after_commit(rb, session).users.identify(account.id, {"email": account.email})

It needs no table, and promises nothing after the commit: until they are sent, the jobs are in memory only. A process
that dies between the commit and the sending loses them without an error. A job that the broker does not take is logged,
or given to `on_failure`. If no job may be lost, use the outbox: `rb.outbox(session)`.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, MetaData, Table, Text, event, func, text
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from rollbook.client import Rollbook
from rollbook.outbox import TABLE
from rollbook.publishing import Publisher
from rollbook.publishing.after_commit import OnFailure, log_failure, publish_committed
from rollbook_shared.jobs.models import Job

__all__ = ["after_commit", "outbox_table"]

_KEY: Final = "rollbook.pending_jobs"


def after_commit(
    rollbook: Rollbook, session: Session | scoped_session[Any], *, on_failure: OnFailure = log_failure
) -> Rollbook:
    """A client whose jobs are sent, in their order, when the session's transaction is committed.

    A job made inside a savepoint (`session.begin_nested()`) that is rolled back is dropped. Making a job begins the
    session's transaction, if there is none.

    on_failure: called with each job that the broker did not take, and its `NotSent`; by default an error is logged.
        What it raises comes out of the application's `commit()`, although the data are committed.

    Raises:
        NotConfigured: there is no broker URL.
    """
    own: Session = session() if isinstance(session, scoped_session) else session
    return rollbook.with_publisher(_AfterCommit(rollbook.publisher, own, on_failure))


def outbox_table(metadata: MetaData) -> Table:
    """The table `rollbook_outbox` in the application's own metadata, for `create_all` and Alembic.

    The same as that of `rollbook.outbox` and of `rollbook outbox create`.
    """
    return Table(
        TABLE,
        metadata,
        Column("id", Text(collation="C"), primary_key=True),
        Column("digest", LargeBinary, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("sent_at", DateTime(timezone=True)),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("trace", Text),
        Index("rollbook_outbox_unsent", "due_at", postgresql_where=text("sent_at IS NULL")),
        Index("rollbook_outbox_sent", "due_at", postgresql_where=text("sent_at IS NOT NULL")),
    )


class _AfterCommit:
    def __init__(self, publisher: Publisher, session: Session, on_failure: OnFailure) -> None:
        self._publisher = publisher
        self._session = session
        self._on_failure = on_failure

    def publish(self, job: Job) -> None:
        """Keep the job until the current transaction or savepoint ends."""
        session = self._session
        current = session.get_nested_transaction() or session.get_transaction() or session.begin()
        _pending_jobs(session).add(current, self, job)

    def close(self) -> None:
        """Do nothing: the publisher belongs to the client."""

    def publish_now(self, job: Job) -> None:
        publish_committed(self._publisher, job, self._on_failure)


class _PendingJobs:
    """The jobs of each open transaction of a session, savepoints included."""

    def __init__(self) -> None:
        self._jobs: dict[SessionTransaction, list[tuple[_AfterCommit, Job]]] = {}
        self._committed: set[SessionTransaction] = set()

    def add(self, transaction: SessionTransaction, target: _AfterCommit, job: Job) -> None:
        self._jobs.setdefault(transaction, []).append((target, job))

    def on_commit(self, session: Session) -> None:
        # also called when a savepoint is released, which is the session's current transaction then
        if current := session.get_nested_transaction() or session.get_transaction():
            self._committed.add(current)

    def on_end(self, session: Session, transaction: SessionTransaction) -> None:
        pending = self._jobs.pop(transaction, [])
        if transaction not in self._committed:
            return  # rolled back, or closed without a commit
        self._committed.discard(transaction)
        if transaction.parent is not None:
            self._jobs.setdefault(transaction.parent, []).extend(pending)
            return
        for target, job in pending:
            target.publish_now(job)


def _pending_jobs(session: Session) -> _PendingJobs:
    pending: _PendingJobs | None = session.info.get(_KEY)
    if pending is None:
        pending = session.info[_KEY] = _PendingJobs()
        event.listen(session, "after_commit", pending.on_commit)
        event.listen(session, "after_transaction_end", pending.on_end)
    return pending
