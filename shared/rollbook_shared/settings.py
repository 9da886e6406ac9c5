"""The settings of a process: every environment variable that Rollbook reads, in one place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from rollbook_shared.database.schema import DEFAULT_SCHEMA, VALID_SCHEMA, is_schema
from rollbook_shared.environment import Choice, Duration, Number, Setting, read_fields, settings_with_defaults
from rollbook_shared.errors import NotConfigured
from rollbook_shared.limits import Limits, PoolLimits

DEFAULT_KEY: Final = "rollbook"
"""Of erasure receipts."""
LAST_PORT: Final = 65_535
"""Of TCP."""


class TransportKind(StrEnum):
    """What carries jobs from Redis to the workers."""

    ROLLBOOK = "rollbook"
    STOCK = "stock"


class LogFormat(StrEnum):
    """How a process logs."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True)
class SchemaName(Setting):
    """An environment variable that names a schema of Postgres."""

    def parse(self, text: str) -> str:
        """See `Setting`."""
        if not is_schema(text):
            raise ValueError(VALID_SCHEMA)
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one process. All processes should have the same. `repr` shows no URL and no key."""

    broker_url: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_BROKER_URL",
            "The Redis or Valkey that jobs are published to and taken from: `redis://[:password@]host:6379/1`, or "
            "`rediss://...?ssl_cert_reqs=required` for TLS. With Sentinel: "
            "`sentinel://host:26379/1;sentinel://...?master_name=main`. Give Rollbook a database number of its own.",
        ),
    ] = field(default=None, repr=False)
    database_url: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_DATABASE_URL",
            "The Postgres with the users: `postgresql://user@host:5432/app`, with `?sslmode=verify-full` for TLS. "
            "All is in one schema, so it may be the application's own database. With a replica that may be promoted: "
            "`postgresql://user@a:5432,b:5432/app?target_session_attrs=read-write`.",
        ),
    ] = field(default=None, repr=False)
    schema: Annotated[
        str,
        SchemaName(
            "ROLLBOOK_SCHEMA",
            "The schema of Postgres that everything is in. Several Rollbooks share a database, each in its own: see "
            "[Several Rollbooks in one database](../how-to/schemas.md).",
        ),
    ] = DEFAULT_SCHEMA
    limits: Limits = field(default_factory=Limits)
    """What the client accepts."""
    pool: PoolLimits = field(default_factory=PoolLimits)
    """How many connections to the database a client uses."""
    merge_history: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_MERGE_HISTORY_DAYS",
            "How much of the secondary's history a merge transfers, counted back from the merge's stamp.",
            unit="days",
        ),
    ] = timedelta(days=30)
    erasure_delay: Annotated[
        timedelta,
        Duration("ROLLBOOK_ERASURE_DELAY_HOURS", "How long after a delete the user's values are erased.", unit="hours"),
    ] = timedelta(hours=24)
    job_retention: Annotated[
        timedelta,
        Duration("ROLLBOOK_JOB_RETENTION_DAYS", "How long the status of a finished job is kept.", unit="days"),
    ] = timedelta(days=7)
    dead_letter_retention: Annotated[
        timedelta, Duration("ROLLBOOK_DEAD_LETTER_RETENTION_DAYS", "How long a dead letter is kept.", unit="days")
    ] = timedelta(days=30)
    console_audit_retention: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_CONSOLE_AUDIT_RETENTION_DAYS", "How long a row of the console's audit is kept.", unit="days"
        ),
    ] = timedelta(days=365)
    message_retention: Annotated[
        timedelta | None,
        Duration(
            "ROLLBOOK_MESSAGE_RETENTION_DAYS",
            "How long messages and activities are kept, by the time of their trigger. Maintenance removes them a month "
            "at a time; an older trigger makes none. Not set: for ever.",
            unit="days",
            least=1,
        ),
    ] = None
    registry: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_REGISTRY",
            "The TOML file with the channels and workflows, for workers, maintenance, senders and the server. Without "
            "it no message is delivered. A changed file is read again within a second, by the server at SIGHUP.",
        ),
    ] = None
    outbox_url: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_OUTBOX_URL",
            "The application's database with its outbox, if it is not that of `ROLLBOOK_DATABASE_URL`.",
        ),
    ] = field(default=None, repr=False)
    outbox_resend: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_OUTBOX_RESEND_SECONDS",
            "How long after the relay sent a job it sends the job again, if no worker has finished it. The wait "
            "doubles each time.",
            unit="seconds",
        ),
    ] = timedelta(seconds=60)
    outbox_keep: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_OUTBOX_KEEP_SECONDS",
            "How long the relay keeps a finished job, before it looks once more whether Rollbook's database still has "
            "the outcome, and removes the job: longer than a replica of that database, to which it may fail over, can "
            "be behind. Never longer than half of the retention of finished jobs.",
            unit="seconds",
        ),
    ] = timedelta(seconds=60)
    batch_size: Annotated[
        int,
        Number(
            "ROLLBOOK_BATCH_SIZE",
            "The largest number of jobs that a worker applies in one transaction; with 1 it applies each by itself, as "
            "stock Celery does.",
            least=1,
        ),
    ] = 200
    health_file: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_HEALTH_FILE",
            "Heartbeat file, updated every second by workers, maintenance and relays; `python -m "
            "rollbook_worker.health` reads it.",
        ),
    ] = None
    log_format: Annotated[
        LogFormat,
        Choice(
            "ROLLBOOK_LOG_FORMAT",
            "How workers, maintenance, relays and the HTTP server log; `json` writes one JSON object per line (extra "
            "`logs`).",
            kind=LogFormat,
        ),
    ] = LogFormat.TEXT
    metrics_port: Annotated[
        int,
        Number(
            "ROLLBOOK_METRICS_PORT",
            "Port on which a worker, maintenance, a relay or the HTTP server serves metrics for Prometheus (extra "
            "`metrics`); 0: none.",
            most=LAST_PORT,
        ),
    ] = 0
    metrics_address: Annotated[
        str,
        Setting(
            "ROLLBOOK_METRICS_ADDRESS",
            "Address on which it serves them. Metrics name no user, but anyone who reaches the address can read them.",
        ),
    ] = "127.0.0.1"
    transport: Annotated[
        TransportKind,
        Choice(
            "ROLLBOOK_TRANSPORT",
            "What carries jobs from Redis to the workers: Rollbook's own transport, or with `stock` Celery's.",
            kind=TransportKind,
        ),
    ] = TransportKind.ROLLBOOK
    max_deliveries: Annotated[
        int,
        Number(
            "ROLLBOOK_MAX_DELIVERIES",
            "After this many deliveries that no worker finished a job becomes a dead letter, `kills_worker`; after "
            "this many statement timeouts by itself, `too_slow`. 0: never.",
        ),
    ] = 5
    lock_timeout: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_LOCK_TIMEOUT_SECONDS",
            "How long a worker waits for a lock in Postgres before it retries the job later; less than "
            "`ROLLBOOK_STATEMENT_TIMEOUT_SECONDS`.",
            unit="seconds",
        ),
    ] = timedelta(seconds=5)
    statement_timeout: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_STATEMENT_TIMEOUT_SECONDS",
            "How long a statement of a worker may take before it retries the job later.",
            unit="seconds",
        ),
    ] = timedelta(seconds=30)
    read_timeout: Annotated[
        timedelta,
        Duration(
            "ROLLBOOK_READ_TIMEOUT_SECONDS",
            "How long a read by the client may take before it raises `Unavailable`.",
            unit="seconds",
        ),
    ] = timedelta(seconds=30)
    templates: Annotated[
        str | None,
        Setting(
            "ROLLBOOK_TEMPLATES",
            "The folder with the templates of messages. Changes in it take effect within a second, without a restart.",
        ),
    ] = None
    erasure_key: Annotated[
        str,
        Setting(
            "ROLLBOOK_ERASURE_KEY",
            "Key of the hash by which a receipt names an erased id. Set a secret before the first start: workers and "
            "maintenance with another key than the database's do not start.",
        ),
    ] = field(default=DEFAULT_KEY, repr=False)
    erasure_previous_keys: Annotated[
        str,
        Setting(
            "ROLLBOOK_ERASURE_PREVIOUS_KEYS",
            "Other keys with which receipts were or will be written, separated by commas without blanks.",
        ),
    ] = field(default="", repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read `ROLLBOOK_*` from `env`, by default the process's environment.

        Raises:
            NotConfigured: a variable has a value that cannot be used.
        """
        env = os.environ if env is None else env
        settings = cls(
            limits=Limits(**read_fields(Limits, env)),
            pool=PoolLimits(**read_fields(PoolLimits, env)),
            **read_fields(cls, env),
        )
        settings._require_lock_timeout_first()
        return settings

    @property
    def erasure_keys(self) -> tuple[str, ...]:
        """The key with which receipts are written, and the others with which they are found."""
        return (self.erasure_key, *(key for key in self.erasure_previous_keys.split(",") if key))

    def _require_lock_timeout_first(self) -> None:
        """A wait for a lock that ends as a statement that took too long would count against the job."""
        if self.statement_timeout and not timedelta() < self.lock_timeout < self.statement_timeout:
            raise NotConfigured(
                f"ROLLBOOK_LOCK_TIMEOUT_SECONDS ({self.lock_timeout.total_seconds():g}) must be more than 0 and less "
                f"than ROLLBOOK_STATEMENT_TIMEOUT_SECONDS ({self.statement_timeout.total_seconds():g}), so that a "
                "statement which waits for a lock is not taken for one that is too slow"
            )

    def need_broker_url(self) -> str:
        """The broker's URL.

        Raises:
            NotConfigured: it is not set.
        """
        if not self.broker_url:
            raise NotConfigured("ROLLBOOK_BROKER_URL is not set; set it to a URL such as redis://127.0.0.1:6379/0")
        return self.broker_url

    def need_outbox_url(self) -> str:
        """The URL of the database with the outbox.

        Raises:
            NotConfigured: neither it nor the database's is set.
        """
        return self.outbox_url or self.need_database_url()

    def need_database_url(self) -> str:
        """The database's URL.

        Raises:
            NotConfigured: it is not set.
        """
        if not self.database_url:
            raise NotConfigured(
                "ROLLBOOK_DATABASE_URL is not set; set it to a URL such as postgresql://user@127.0.0.1:5432/app"
            )
        return self.database_url


def all_settings() -> Iterator[tuple[Setting, str]]:
    """Every environment variable with the text of its default, for the docs; the server has more of its own."""
    settings = Settings()
    yield from settings_with_defaults(settings)
    yield from settings_with_defaults(settings.limits)
    yield from settings_with_defaults(settings.pool)
