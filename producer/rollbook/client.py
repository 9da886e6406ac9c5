"""The way in: one object for everything an application asks of Rollbook."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from threading import TIMEOUT_MAX
from types import TracebackType
from typing import Any, Self

from rollbook.publishing import Publisher, publish_encoded
from rollbook.publishing.buffered import Buffer
from rollbook.resources.activities import Activities
from rollbook.resources.buffered_context import BufferedContext
from rollbook.resources.context import ClientContext, Clock
from rollbook.resources.feeds import Feeds
from rollbook.resources.jobs import Jobs
from rollbook.resources.messages import Messages
from rollbook.resources.users import Users
from rollbook.resources.workflows import Workflows
from rollbook_shared.errors import NotConfigured
from rollbook_shared.jobs.limits import HARD_BULK_USERS, Limits
from rollbook_shared.settings import Settings


class Rollbook:
    """Tells Rollbook about users, and asks about them. Make one per process; threads and forked children may share it.

        rb = Rollbook.from_env()
        job = rb.users.identify("ann", {"email": "ann@example.com", "plan": "pro"})
        job.wait()
        rb.users.get("ann").properties  # {"plan": "pro"}

    Nothing is connected before it is needed. Writes need the broker and return once it has the job, or within seconds
    raise `NotSent`; reads need the database and the extra `read`, and show what the workers have applied so far. Each
    fails with `NotConfigured` when its URL is not set. `rollbook.errors` lists what calls raise.
    """

    def __init__(
        self,
        *,
        broker_url: str | None = None,
        database_url: str | None = None,
        limits: Limits | None = None,
        history: timedelta | None = None,
        read_timeout: timedelta | None = None,
        publisher: Publisher | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare to talk to the broker and the database.

        broker_url: such as `redis://127.0.0.1:6379/0`, `rediss://...?ssl_cert_reqs=required` for TLS, or
            `sentinel://10.0.0.1:26379/0;sentinel://10.0.0.2:26379/0?master_name=main`.
        database_url: such as `postgresql://user@127.0.0.1:5432/app`; with `?sslmode=verify-full` for TLS.
        limits: what is accepted; the workers need no change when it is raised.
        history: how far back a merge carries messages and activities over, for previews; the workers' setting is what
            counts.
        read_timeout: how long a question to the database may take before the call fails with `Unavailable`; by default
            30 s.
        publisher: another way to publish jobs than straight to the broker.
        clock: tells the time in microseconds since 1970, for tests.

        Raises:
            NotConfigured: the broker's URL cannot be used, or a limit or a time is none. The database's URL is looked
                at by the first read.
        """
        _check(limits, history=history, read_timeout=read_timeout)
        default = Settings()
        settings = Settings(
            broker_url=broker_url,
            database_url=database_url,
            limits=default.limits if limits is None else limits,
            history=default.history if history is None else history,
            read_timeout=default.read_timeout if read_timeout is None else read_timeout,
        )
        self._bind(ClientContext(settings, publisher or _direct(broker_url), clock or _now))

    def _bind(self, context: ClientContext) -> None:
        self._context = context
        self._users = Users(context)
        self._workflows = Workflows(context)
        self._feeds = Feeds(context)
        self._messages = Messages(context)
        self._activities = Activities(context)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Make one from `ROLLBOOK_BROKER_URL`, `ROLLBOOK_DATABASE_URL` and the other `ROLLBOOK_*` settings of `env`.

        env: by default the environment of the process. A URL that is missing is reported by the first call that needs
            it.

        Raises:
            NotConfigured: a setting does not hold what it should, or the broker's URL cannot be used.
        """
        settings = Settings.from_env(env)
        return cls(
            broker_url=settings.broker_url,
            database_url=settings.database_url,
            limits=settings.limits,
            history=settings.history,
            read_timeout=settings.read_timeout,
        )

    @property
    def users(self) -> Users:
        """Tell about users, end and merge them, read them."""
        return self._users

    @property
    def workflows(self) -> Workflows:
        """Start workflows."""
        return self._workflows

    @property
    def feeds(self) -> Feeds:
        """Read feeds."""
        return self._feeds

    @property
    def messages(self) -> Messages:
        """Read messages of every channel, and mark them."""
        return self._messages

    @property
    def activities(self) -> Activities:
        """Read what was triggered for users, and by them."""
        return self._activities

    @property
    def jobs(self) -> Jobs:
        """Ask what became of jobs; list and cancel deferred ones; look at dead letters, replay and drop them."""
        return self._context.jobs

    def outbox(self, transaction: Any) -> Rollbook:
        """Tell Rollbook within a transaction of your own database: `rb.outbox(session).users.identify(...)`.

        Each job becomes a row of your table `rollbook_outbox`, written by your transaction and gone with its rollback.
        After the commit the relay (`rollbook relay`) sends it, and again until a worker has decided it: nothing is
        lost even if Redis is. Needs no broker here. The table: `rollbook outbox create`, or
        `rollbook.publishing.outbox`.

        A write through it raises `InvalidRequest` as any other, `NotConfigured` where the table is missing, and never
        `NotSent`. Errors of the database are its own, as of any other statement, and leave the transaction as those do.

        transaction: a SQLAlchemy `Session` or `Connection`, Django's `django.db.connection`, or a DBAPI connection
            such as psycopg's. With an async session: `await session.run_sync(lambda s: rb.outbox(s).users...)`.

        Raises:
            TypeError: nothing can be inserted with this.
        """
        from rollbook.publishing.outbox import OutboxPublisher

        return self.with_publisher(OutboxPublisher(transaction))

    def buffered(
        self, *, max_users: int = 100, max_seconds: float = 1.0, max_waiting: int = 10_000, block_seconds: float = 1.0
    ) -> BufferedRollbook:
        """Identify from a hot path without waiting for the broker: a face that gathers identifies into bulk jobs.

        Make one per process, and `close()` it at the end (a `with` does). See `rollbook.publishing.buffered` for
        what is
        promised, and what a killed process loses.

        max_users: send when so many are gathered; at most `limits.bulk_users`. Fewer, where they are large.
        max_seconds: send when the first of them has waited so long.
        max_waiting: hold at most so many users (and 64 MiB of them); then a call waits for the broker.
        block_seconds: how long such a call waits before it raises `BufferFull` (an `Unavailable`).

        Raises:
            NotConfigured: there is no broker URL.
            ValueError: a number is out of its bounds.
        """
        return BufferedRollbook(
            self._context,
            max_users=max_users,
            max_seconds=max_seconds,
            max_waiting=max_waiting,
            block_seconds=block_seconds,
        )

    def with_publisher(self, publisher: Publisher) -> Rollbook:
        """A client whose jobs go to `publisher`. It shares the read connections of this client and closes none of them.

        publisher: whatever keeps the promises of `rollbook.publishing.Publisher`.
        """
        other = Rollbook.__new__(Rollbook)
        other._bind(self._context.with_publisher(publisher))
        return other

    def close(self) -> None:
        """Close all connections. A later call opens them again."""
        self._context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BufferedRollbook(Rollbook):
    """A Rollbook whose `users.identify` returns before the broker has the job. Everything else is sent at once.

    Made by `Rollbook.buffered`. `users.identify` raises `BufferFull` in place of `NotSent`; with `job_id`,
    `occurred_at`, `run_at` or `delay` it is sent at once as well. `close` flushes, and raises what `flush` does; the
    connections stay those of the Rollbook it was made from.
    """

    def __init__(
        self, context: ClientContext, *, max_users: int, max_seconds: float, max_waiting: int, block_seconds: float
    ) -> None:
        most = min(context.limits.bulk_users, HARD_BULK_USERS)
        if not 1 <= max_users <= most:
            raise ValueError(f"max_users must be 1 to {most}, the users that a bulk job may have")
        # each so that NaN does not pass
        if not max_waiting >= 1 or not all(0 <= span <= TIMEOUT_MAX for span in (max_seconds, block_seconds)):
            raise ValueError("max_waiting must be at least 1, and each time a number of seconds that is not negative")
        self._buffer = Buffer(
            partial(publish_encoded, context.publisher()),
            max_users=max_users,
            max_seconds=max_seconds,
            max_waiting=max_waiting,
            block_seconds=block_seconds,
        )
        self._bind(BufferedContext(context, self._buffer))

    def flush(self) -> None:
        """Return when the broker has everything that was told before.

        Raises:
            NotSent: it did not take it; all is kept and will be tried again.
        """
        self._buffer.flush()


def _check(limits: object, **spans: object) -> None:
    """Refuse at once what only the first call would fail with."""
    if not isinstance(limits, Limits | None):
        raise NotConfigured("limits must be a rollbook.Limits")
    for name, span in spans.items():
        if span is not None and not (isinstance(span, timedelta) and span >= timedelta(0)):
            raise NotConfigured(f"{name} must be a timedelta, not a negative one")


def _direct(broker_url: str | None) -> Publisher | None:
    if not broker_url:
        return None
    from rollbook.publishing.direct import (
        DirectPublisher,  # Celery takes its time to import; those who only read do without
    )

    return DirectPublisher(broker_url)


def _now() -> int:
    return time.time_ns() // 1_000
