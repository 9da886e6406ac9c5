"""Jobs of a SQLAlchemy session: sent after its commit, dropped with what is rolled back.

    from rollbook.sqlalchemy import after_commit

    with Session(engine) as session, session.begin():
        session.add(account)
        after_commit(rb, session).users.identify(account.id, {"email": account.email})

With `AsyncRollbook` and an `AsyncSession` the call is awaited, and the jobs are sent before `await session.commit()`
returns.

It needs no table, and promises nothing after the commit: until they are sent, the jobs are in memory only. A process
that dies between the commit and the sending loses them without an error. A job that the broker does not take is logged,
or given to `on_failure`. If no job may be lost, use the outbox: `rb.outbox(session)`.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, Protocol, overload

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    event,
    func,
    text,
)
from sqlalchemy.orm import Session, SessionTransaction, scoped_session
from sqlalchemy.util import await_only

from rollbook.client import Rollbook
from rollbook.publishing.after_commit import OnFailure, async_publish_committed, log_failure, publish_committed
from rollbook_shared.database.schema import DEFAULT_SCHEMA, outbox_name, require_schema
from rollbook_shared.limits import JOB_BYTES

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session

    from rollbook.async_client import AsyncRollbook
    from rollbook.publishing import AsyncPublisher, Publisher
    from rollbook_shared.jobs.models import Job

__all__ = ["after_commit", "outbox_table"]

_KEY: Final = "rollbook.pending_jobs"


@overload
def after_commit(
    rollbook: Rollbook, session: Session | scoped_session[Any], *, on_failure: OnFailure = ...
) -> Rollbook: ...


@overload
def after_commit(
    rollbook: AsyncRollbook, session: AsyncSession | async_scoped_session[Any], *, on_failure: OnFailure = ...
) -> AsyncRollbook: ...


def after_commit(
    rollbook: Rollbook | AsyncRollbook,
    session: Session | scoped_session[Any] | AsyncSession | async_scoped_session[Any],
    *,
    on_failure: OnFailure = log_failure,
) -> Rollbook | AsyncRollbook:
    """A client whose jobs are sent, in their order, when the session's transaction is committed.

    A job made inside a savepoint (`session.begin_nested()`) that is rolled back is dropped. Making a job begins the
    session's transaction, if there is none.

    on_failure: called with each job that the broker did not take, and its `NotSent`; by default an error is logged.
        What it raises comes out of the application's `commit()`, although the data are committed.

    Raises:
        NotConfigured: there is no broker URL.
        TypeError: this is no session, or one of the other client: `AsyncRollbook` needs an `AsyncSession`.
    """
    if not isinstance(rollbook, Rollbook):
        asynchronous = _AsyncAfterCommit(rollbook.publisher, _sync_session(session), on_failure)
        return rollbook.with_publisher(asynchronous)
    own: object = session() if isinstance(session, scoped_session) else session
    if not isinstance(own, Session):
        raise TypeError(_needs(own))
    return rollbook.with_publisher(_AfterCommit(rollbook.publisher, own, on_failure))


def _sync_session(session: object) -> Session:
    """The session within an `AsyncSession`."""
    own = session() if callable(session) and hasattr(session, "registry") else session  # async_scoped_session
    if not isinstance(found := getattr(own, "sync_session", None), Session):
        raise TypeError(f"after_commit of AsyncRollbook needs an AsyncSession, and not {type(own).__name__}")
    return found


def _needs(given: object) -> str:
    if hasattr(given, "run_sync") or iscoroutinefunction(getattr(given, "commit", None)):
        return (
            "an async session needs AsyncRollbook, or: await session.run_sync(lambda s: after_commit(rb, s).users...)"
        )
    return f"after_commit needs a SQLAlchemy Session, and not {type(given).__name__}"


def outbox_table(metadata: MetaData, rollbook_schema: str = DEFAULT_SCHEMA) -> Table:
    """The table `rollbook_outbox` in the application's own metadata, for `create_all` and Alembic.

    The same as that of `rollbook.outbox` and of `rollbook outbox create`.

    rollbook_schema: that of the Rollbook for which the jobs are; for `eu` the table is `eu_outbox`.

    Raises:
        NotConfigured: no Rollbook may be in a schema of this name.
    """
    require_schema(rollbook_schema)
    name = outbox_name(rollbook_schema)
    return Table(
        name,
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
        Column("finished_at", DateTime(timezone=True)),
        Column("dead_on", Integer),
        CheckConstraint(f"octet_length(body) <= {JOB_BYTES}", name=f"{name}_body_size"),
        Index(f"{name}_unsent", "due_at", postgresql_where=text("sent_at IS NULL")),
        Index(f"{name}_sent", "due_at", postgresql_where=text("sent_at IS NOT NULL")),
    )


class _Target(Protocol):
    def publish_now(self, job: Job) -> None: ...


class _AfterCommit:
    def __init__(self, publisher: Publisher, session: Session, on_failure: OnFailure) -> None:
        self._publisher = publisher
        self._session = session
        self._on_failure = on_failure

    def publish(self, job: Job) -> None:
        """Keep the job until the current transaction or savepoint ends."""
        _keep(self._session, self, job)

    def close(self) -> None:
        """Do nothing: the publisher belongs to the client."""

    def publish_now(self, job: Job) -> None:
        publish_committed(self._publisher, job, self._on_failure)


class _AsyncAfterCommit:
    def __init__(self, publisher: AsyncPublisher, session: Session, on_failure: OnFailure) -> None:
        self._publisher = publisher
        self._session = session
        self._on_failure = on_failure

    async def publish(self, job: Job) -> None:
        """Keep the job until the current transaction or savepoint ends."""
        _keep(self._session, self, job)

    async def aclose(self) -> None:
        """Do nothing: the publisher belongs to the client."""

    def publish_now(self, job: Job) -> None:
        # the events of a session are called within its `await session.commit()`, which awaits this
        await_only(async_publish_committed(self._publisher, job, self._on_failure))


class _PendingJobs:
    """The jobs of each open transaction of a session, savepoints included."""

    def __init__(self) -> None:
        self._jobs: dict[SessionTransaction, list[tuple[_Target, Job]]] = {}
        self._committed: set[SessionTransaction] = set()

    def add(self, transaction: SessionTransaction, target: _Target, job: Job) -> None:
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


def _keep(session: Session, target: _Target, job: Job) -> None:
    current = session.get_nested_transaction() or session.get_transaction() or session.begin()
    _pending_jobs(session).add(current, target, job)


def _pending_jobs(session: Session) -> _PendingJobs:
    pending: _PendingJobs | None = session.info.get(_KEY)
    if pending is None:
        pending = _PendingJobs()
        event.listen(session, "after_commit", pending.on_commit)
        event.listen(session, "after_transaction_end", pending.on_end)
        session.info[_KEY] = pending
    return pending
