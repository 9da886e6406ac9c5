"""Jobs told within a SQLAlchemy session are sent after its commit, and dropped with what is rolled back.

    from rollbook.sqlalchemy import after_commit

    with Session(engine) as session, session.begin():
        session.add(account)
        after_commit(rb, session).users.identify(account.id, {"email": account.email})

No table is needed, and nothing is promised once the commit is done: until they are sent the jobs are in memory only. A
process that dies between commit and send has lost them without a trace; a broker that is away then makes each of
them a line in the log (or what `on_failure` makes of it). Where that will not do, use the outbox: `rb.outbox(session)`.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, MetaData, Table, Text, event, func, text
from sqlalchemy.orm import Session, SessionTransaction, scoped_session

from rollbook.client import Rollbook
from rollbook.publishing import Publisher
from rollbook.publishing.after_commit import OnFailure, log_failure, send_committed
from rollbook.publishing.outbox.table import TABLE
from rollbook_shared.jobs.models import Job

__all__ = ["after_commit", "outbox_table"]

_KEY: Final = "rollbook.told"


def after_commit(
    rollbook: Rollbook, session: Session | scoped_session[Any], *, on_failure: OnFailure = log_failure
) -> Rollbook:
    """The same face, whose jobs are sent in their order once the session's transaction is committed.

    A job told inside a savepoint (`session.begin_nested()`) that is rolled back is dropped. Telling begins the
    session's transaction, if there is none.

    on_failure: is told of each job that the broker did not take, with its `NotSent`; by default an error is logged.
        What it raises comes out of the application's `commit()`, though the data are in.

    Raises:
        NotConfigured: there is no broker URL.
    """
    own: Session = session() if isinstance(session, scoped_session) else session
    return rollbook.with_publisher(_AfterCommit(rollbook._context.publisher(), own, on_failure))


def outbox_table(metadata: MetaData) -> Table:
    """The table `rollbook_outbox` within the application's own metadata, for `create_all` and Alembic.

    The same as that of `rollbook outbox create`.
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
        """Keep the job with the transaction, or the savepoint, that it is told in."""
        session = self._session
        current = session.get_nested_transaction() or session.get_transaction() or session.begin()
        _told(session).keep(current, self, job)

    def close(self) -> None:
        """Do nothing: the publisher belongs to the client."""

    def committed(self, job: Job) -> None:
        send_committed(self._publisher, job, self._on_failure)


class _Told:
    """What was told in each open transaction of a session, the savepoints included."""

    def __init__(self) -> None:
        self._jobs: dict[SessionTransaction, list[tuple[_AfterCommit, Job]]] = {}
        self._committed: set[SessionTransaction] = set()

    def keep(self, transaction: SessionTransaction, with_publisher: _AfterCommit, job: Job) -> None:
        self._jobs.setdefault(transaction, []).append((with_publisher, job))

    def commit(self, session: Session) -> None:
        # also at the release of a savepoint, which is the session's current transaction then
        if current := session.get_nested_transaction() or session.get_transaction():
            self._committed.add(current)

    def end(self, session: Session, transaction: SessionTransaction) -> None:
        told = self._jobs.pop(transaction, [])
        if transaction not in self._committed:
            return  # rolled back, or closed with neither
        self._committed.discard(transaction)
        if transaction.parent is not None:
            self._jobs.setdefault(transaction.parent, []).extend(told)
            return
        for with_publisher, job in told:
            with_publisher.committed(job)


def _told(session: Session) -> _Told:
    told: _Told | None = session.info.get(_KEY)
    if told is None:
        told = session.info[_KEY] = _Told()
        event.listen(session, "after_commit", told.commit)
        event.listen(session, "after_transaction_end", told.end)
    return told
