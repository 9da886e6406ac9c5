"""The client: the object that an application calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from threading import TIMEOUT_MAX
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict

from rollbook.publishing import Publisher, publish_encoded
from rollbook.resources.activities import Activities
from rollbook.resources.buffered import BufferedContext, BufferedUsers
from rollbook.resources.context import ClientContext, Clock, system_clock
from rollbook.resources.deliveries import Deliveries
from rollbook.resources.feeds import Feeds
from rollbook.resources.measurements import Measurements
from rollbook.resources.messages import Messages
from rollbook.resources.users import Users
from rollbook.resources.workflows import Workflows
from rollbook_shared.database.schema import DEFAULT_SCHEMA, require_schema
from rollbook_shared.errors import NotConfigured
from rollbook_shared.limits import HARD_BULK_USERS, Limits, PoolLimits
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook.resources.jobs import Jobs


class Rollbook:
    """Client for Rollbook: write users, read users, trigger workflows. Create one for each process.

        rb = Rollbook.from_env()
        job = rb.users.identify("ann", {"email": "ann@example.com", "plan": "pro"})
        job.wait()
        rb.users.get("ann").properties  # {"plan": "pro"}

    Threads and forked children may share it. It connects at the first call that needs a connection. Writes need the
    broker and return once the broker has the job, or raise `NotSent` within seconds. Reads need the database and the
    extra `read`, and return what the workers have applied so far. A call whose URL is not set raises `NotConfigured`.
    `rollbook.errors` lists what calls raise.
    """

    users: Users
    """Create, update, delete, merge and read users, their preferences and their channel data."""
    workflows: Workflows
    """Trigger workflows."""
    feeds: Feeds
    """Read feeds."""
    messages: Messages
    """Read messages of every channel, and record engagement."""
    activities: Activities
    """Read which triggers concerned a user, and which the user caused."""
    deliveries: Deliveries
    """Claim the messages that are to leave, report what became of them, and look at them."""
    jobs: Jobs
    """Read the status of jobs; list and cancel deferred jobs; list, replay and drop dead letters."""
    measurements: Measurements
    """Read what waited and what was done in the last hour."""

    def __init__(
        self,
        *,
        broker_url: str | None = None,
        database_url: str | None = None,
        schema: str = DEFAULT_SCHEMA,
        limits: Limits | None = None,
        merge_history: timedelta | None = None,
        read_timeout: timedelta | None = None,
        pool: PoolLimits | None = None,
        registry: str | None = None,
        publisher: Publisher | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Create a client. It connects to nothing yet.

        broker_url: such as `redis://127.0.0.1:6379/0`, `rediss://...?ssl_cert_reqs=required` for TLS, or
            `sentinel://10.0.0.1:26379/0;sentinel://10.0.0.2:26379/0?master_name=main`.
        database_url: such as `postgresql://user@127.0.0.1:5432/app`; with `?sslmode=verify-full` for TLS.
        schema: the schema of Postgres that this Rollbook is in, where several share a database.
        limits: what the client accepts. Workers need no change when limits are raised.
        merge_history: how many days of messages and activities a merge transfers, for previews of merges. The workers'
            setting decides what a merge does.
        read_timeout: how long a read may take before it raises `Unavailable`; by default 30 s.
        pool: how many connections to the database the client uses; by default up to 15, of which it keeps 5.
        registry: the path of the TOML file with the channels and workflows; needed to claim deliveries.
        publisher: how jobs are sent; by default to the broker at `broker_url`.
        clock: returns the present time in microseconds since 1970; for tests.

        Raises:
            NotConfigured: the broker's URL or `schema` is invalid, or `limits`, `pool` or a time has a wrong type. The
                database's URL is checked by the first read.
        """
        settings = client_settings(
            broker_url, database_url, schema, limits, merge_history, read_timeout, pool, registry
        )
        self._bind(ClientContext(settings, publisher or _direct(broker_url), clock or system_clock))

    def _bind(self, context: ClientContext) -> None:
        self._context = context
        self.users = Users(context)
        self.workflows = Workflows(context)
        self.feeds = Feeds(context)
        self.messages = Messages(context)
        self.activities = Activities(context)
        self.deliveries = Deliveries(context)
        self.jobs = context.jobs
        self.measurements = Measurements(context)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Create a client from `ROLLBOOK_BROKER_URL`, `ROLLBOOK_DATABASE_URL` and the other `ROLLBOOK_*` settings.

        env: by default the environment of the process. The first call that needs a missing URL raises.

        Raises:
            NotConfigured: a setting has an invalid value, or the broker's URL is invalid.
        """
        return cls(**client_arguments(env))

    @property
    def publisher(self) -> Publisher:
        """What sends the jobs of this client, for a publisher that wraps it (see `with_publisher`).

        Raises:
            NotConfigured: there is no broker URL.
        """
        return self._context.publisher()

    def with_publisher(self, publisher: Publisher) -> Rollbook:
        """A client that sends its jobs with `publisher`. It reads with the connections of this client, and closes none
        of them.

        publisher: any object that keeps the promises of `rollbook.publishing.Publisher`.
        """
        other = Rollbook.__new__(Rollbook)
        other._bind(self._context.with_publisher(publisher))
        return other

    def outbox(self, transaction: Any) -> Rollbook:
        """A client that writes its jobs in a transaction of your database: `rb.outbox(session).users.identify(...)`.

        Each job becomes a row of your table `rollbook_outbox`, and disappears if the transaction is rolled back. After
        the commit the relay (`rollbook relay`) sends the job, and sends it again until a worker has finished it, so no
        job is lost even if Redis loses its data. This client needs no broker. `rollbook outbox create` creates the
        table, which for a Rollbook in the schema `eu` is `eu_outbox`; see also `rollbook.outbox`.

        A write raises `InvalidRequest` like any other, `NotConfigured` if the table is missing, and never `NotSent`.
        Errors of your database are those of its driver, and leave the transaction as any failed statement does.

        transaction: a SQLAlchemy `Session` or `Connection`, Django's `django.db.connection`, or a connection of
            psycopg or psycopg2. With an async session: `await session.run_sync(lambda s: rb.outbox(s).users...)`.

        Raises:
            TypeError: this is no transaction that can insert rows, or of another driver.
        """
        from rollbook.publishing.outbox import OutboxPublisher

        return self.with_publisher(OutboxPublisher(transaction, self._context.schema))

    def buffered(
        self, *, max_users: int = 100, max_seconds: float = 1.0, max_waiting: int = 10_000, block_seconds: float = 1.0
    ) -> BufferedRollbook:
        """A client whose `users.identify` does not wait for the broker: it gathers identifies into bulk jobs.

        Create one for each process, and `close()` it at the end (a `with` block does). `rollbook.publishing.buffered`
        says what it promises, and what is lost if the process is killed.

        max_users: send as soon as this many users are gathered; at most `limits.max_bulk_users`. Large users are sent
            sooner.
        max_seconds: send when the first of them has waited this long.
        max_waiting: keep at most this many users that are not sent (and 64 MiB of them); then a call waits.
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
    """A client whose `users.identify` returns before the broker has the job. All other writes are sent at once.

    `Rollbook.buffered` creates it. Its `users.identify` raises `BufferFull` in place of `NotSent`. With `job_id`,
    `occurred_at`, `run_at` or `delay` an identify is sent at once too. `close` flushes, and raises what `flush` raises;
    the connections belong to the client that created it.
    """

    def __init__(
        self, context: ClientContext, *, max_users: int, max_seconds: float, max_waiting: int, block_seconds: float
    ) -> None:
        # imported here: most programs buffer nothing
        from rollbook.publishing.buffered import Buffer

        check_buffer(context.limits, max_users, max_waiting, max_seconds, block_seconds)
        self._buffer = Buffer(
            partial(publish_encoded, context.publisher()),
            max_users=max_users,
            max_seconds=max_seconds,
            max_waiting=max_waiting,
            block_seconds=block_seconds,
        )
        buffered = BufferedContext(context, self._buffer)
        self._bind(buffered)
        self.users = BufferedUsers(buffered)

    def flush(self) -> None:
        """Send everything that was buffered before, and return when the broker has it.

        Raises:
            NotSent: the broker did not take it. It stays in the buffer, which will send it again.
        """
        self._buffer.flush()


class ClientArguments(TypedDict):
    """The arguments of a client that are settings too."""

    broker_url: str | None
    database_url: str | None
    schema: str
    limits: Limits
    merge_history: timedelta
    read_timeout: timedelta
    pool: PoolLimits
    registry: str | None


def client_arguments(env: Mapping[str, str] | None) -> ClientArguments:
    """The arguments of a client as the environment has them.

    Raises:
        NotConfigured: a setting has an invalid value.
    """
    settings = Settings.from_env(env)
    return {
        "broker_url": settings.broker_url,
        "database_url": settings.database_url,
        "schema": settings.schema,
        "limits": settings.limits,
        "merge_history": settings.merge_history,
        "read_timeout": settings.read_timeout,
        "pool": settings.pool,
        "registry": settings.registry,
    }


def client_settings(
    broker_url: str | None,
    database_url: str | None,
    schema: str,
    limits: Limits | None,
    merge_history: timedelta | None,
    read_timeout: timedelta | None,
    pool: PoolLimits | None,
    registry: str | None = None,
) -> Settings:
    """The settings of a client, with the defaults of what is None.

    Raises:
        NotConfigured: `limits`, `pool` or a time has a wrong type, or no Rollbook may be in the schema.
    """
    require_schema(schema)
    _check(limits, pool, merge_history=merge_history, read_timeout=read_timeout)
    default = Settings()
    return Settings(
        broker_url=broker_url,
        database_url=database_url,
        schema=schema,
        limits=default.limits if limits is None else limits,
        merge_history=default.merge_history if merge_history is None else merge_history,
        read_timeout=default.read_timeout if read_timeout is None else read_timeout,
        pool=default.pool if pool is None else pool,
        registry=registry,
    )


def check_buffer(limits: Limits, max_users: int, max_waiting: int, *times: float) -> None:
    """Check the arguments of `buffered`.

    Raises:
        ValueError: a number is out of its bounds.
    """
    most = min(limits.max_bulk_users, HARD_BULK_USERS)
    if not 1 <= max_users <= most:
        raise ValueError(f"max_users must be 1 to {most}, the most users that a bulk job may have")
    # written so that NaN does not pass
    if not max_waiting >= 1 or not all(0 <= seconds <= TIMEOUT_MAX for seconds in times):
        raise ValueError("max_waiting must be at least 1, and each time a number of seconds that is not negative")


def _check(limits: object, pool: object, **times: object) -> None:
    """Refuse at once what otherwise only the first call would fail with."""
    if not isinstance(limits, Limits | None):
        raise NotConfigured("limits must be a rollbook.Limits")
    if not isinstance(pool, PoolLimits | None) or (pool is not None and pool.max_connections < 1):
        raise NotConfigured("pool must be a rollbook.PoolLimits with at least one connection")
    for name, time_ in times.items():
        if time_ is not None and not (isinstance(time_, timedelta) and time_ >= timedelta(0)):
            raise NotConfigured(f"{name} must be a timedelta that is not negative")


def _direct(broker_url: str | None) -> Publisher | None:
    if not broker_url:
        return None
    # imported here: an application that only reads does without what it imports
    from rollbook.publishing.direct import DirectPublisher

    return DirectPublisher(broker_url)
