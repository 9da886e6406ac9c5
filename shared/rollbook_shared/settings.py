"""What is set from outside: every environment variable that Rollbook reads, in one place.

Values never show in `repr`: URLs hold passwords.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from rollbook_shared.errors import NotConfigured
from rollbook_shared.limits import Limits

OURS: Final = "rollbook"
STOCK: Final = "stock"
MOST: Final = 1e8
"""No setting is larger: as days they still make a time that Python can hold."""
LAST_PORT: Final = 65_535
"""Of TCP."""

TEXT: Final = "text"
JSON: Final = "json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one process; the README's table has the variable of each. All processes should have the same."""

    broker_url: str | None = field(default=None, repr=False)
    """Where jobs are sent, and taken from: `redis://...`, `rediss://...`, `sentinel://...?master_name=...`."""
    database_url: str | None = field(default=None, repr=False)
    """The Postgres that holds the users: `postgresql://...`."""
    limits: Limits = field(default_factory=Limits)
    """What the face accepts."""
    history: timedelta = timedelta(days=30)
    """How much history a merge carries over, counted back from the merge's stamp."""
    settling: timedelta = timedelta(hours=24)
    """How long after a delete the user's values are erased."""
    outcomes: timedelta = timedelta(days=7)
    """How long what became of a job can be asked after it was decided."""
    dead_letters: timedelta = timedelta(days=30)
    """How long a dead letter is kept for somebody to look at."""
    outbox_url: str | None = field(default=None, repr=False)
    """The application's database that holds its outbox; by default the one of `database_url`."""
    resend: timedelta = timedelta(seconds=60)
    """How long after a job of the outbox was sent it is sent again, if no worker has decided it; then ever later."""
    batch: int = 200
    """How many jobs a worker applies in one transaction at most; with 1 each is applied by itself."""
    health_file: str | None = None
    """Heartbeat file of a worker, maintenance or relay, touched each second; see `python -m rollbook_worker.health`."""
    log_format: str = TEXT
    """How a worker, maintenance or a relay logs; with `JSON` each record is a line of it."""
    metrics_port: int = 0
    """Where a worker, maintenance or a relay serves metrics for Prometheus; 0: nowhere."""
    metrics_address: str = "127.0.0.1"
    """On which address it serves them."""
    transport: str = OURS
    """What carries jobs from Redis to the workers: our transport, or with `STOCK` Celery's own."""
    max_deliveries: int = 5
    """After so many deliveries that came to nothing, because its worker was gone, a job is a dead letter; 0: never."""
    lock_timeout: timedelta = timedelta(seconds=5)
    """How long a worker waits for one lock; then the job is tried again later."""
    statement_timeout: timedelta = timedelta(seconds=30)
    """How long a worker's statement may take; then the job is tried again later."""
    read_timeout: timedelta = timedelta(seconds=30)
    """How long a question to the database may take; then the call fails with `Unavailable`."""
    erasure_key: str = field(default="rollbook", repr=False)
    """Keys the hash by which a receipt names an erased id; set it to a secret of your own."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read `ROLLBOOK_*` from `env`, by default the process's environment.

        Raises:
            NotConfigured: a variable holds no number that can be used, or none of the words it may.
        """
        env = os.environ if env is None else env
        default = cls()
        return cls(
            broker_url=env.get("ROLLBOOK_BROKER_URL") or None,
            database_url=env.get("ROLLBOOK_DATABASE_URL") or None,
            limits=Limits(
                bulk_users=int(_number(env, "ROLLBOOK_MAX_BULK_USERS", default.limits.bulk_users, least=1)),
                recipients=int(_number(env, "ROLLBOOK_MAX_RECIPIENTS", default.limits.recipients, least=1)),
                properties_bytes=int(_number(env, "ROLLBOOK_MAX_PROPERTIES_BYTES", default.limits.properties_bytes)),
                data_bytes=int(_number(env, "ROLLBOOK_MAX_DATA_BYTES", default.limits.data_bytes)),
                future=timedelta(
                    seconds=_number(env, "ROLLBOOK_MAX_CLOCK_SKEW_SECONDS", default.limits.future.total_seconds())
                ),
            ),
            history=timedelta(days=_number(env, "ROLLBOOK_MERGE_HISTORY_DAYS", default.history / timedelta(days=1))),
            settling=timedelta(
                hours=_number(env, "ROLLBOOK_ERASURE_DELAY_HOURS", default.settling / timedelta(hours=1))
            ),
            outcomes=timedelta(days=_number(env, "ROLLBOOK_JOB_RETENTION_DAYS", default.outcomes / timedelta(days=1))),
            dead_letters=timedelta(
                days=_number(env, "ROLLBOOK_DEAD_LETTER_RETENTION_DAYS", default.dead_letters / timedelta(days=1))
            ),
            outbox_url=env.get("ROLLBOOK_OUTBOX_URL") or None,
            resend=timedelta(seconds=_number(env, "ROLLBOOK_OUTBOX_RESEND_SECONDS", default.resend.total_seconds())),
            batch=int(_number(env, "ROLLBOOK_BATCH_SIZE", default.batch, least=1)),
            health_file=env.get("ROLLBOOK_HEALTH_FILE") or None,
            log_format=_one_of(env, "ROLLBOOK_LOG_FORMAT", (TEXT, JSON)),
            metrics_port=int(_number(env, "ROLLBOOK_METRICS_PORT", default.metrics_port, most=LAST_PORT)),
            metrics_address=env.get("ROLLBOOK_METRICS_ADDRESS") or default.metrics_address,
            transport=_one_of(env, "ROLLBOOK_TRANSPORT", (OURS, STOCK)),
            max_deliveries=int(_number(env, "ROLLBOOK_MAX_DELIVERIES", default.max_deliveries)),
            lock_timeout=timedelta(
                seconds=_number(env, "ROLLBOOK_LOCK_TIMEOUT_SECONDS", default.lock_timeout.total_seconds())
            ),
            statement_timeout=timedelta(
                seconds=_number(env, "ROLLBOOK_STATEMENT_TIMEOUT_SECONDS", default.statement_timeout.total_seconds())
            ),
            read_timeout=timedelta(
                seconds=_number(env, "ROLLBOOK_READ_TIMEOUT_SECONDS", default.read_timeout.total_seconds())
            ),
            erasure_key=env.get("ROLLBOOK_ERASURE_KEY") or default.erasure_key,
        )

    def need_broker_url(self) -> str:
        """The broker's URL.

        Raises:
            NotConfigured: it is not set.
        """
        if not self.broker_url:
            raise NotConfigured("ROLLBOOK_BROKER_URL is not set, such as redis://127.0.0.1:6379/0")
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
            raise NotConfigured("ROLLBOOK_DATABASE_URL is not set, such as postgresql://user@127.0.0.1:5432/app")
        return self.database_url


def _number(env: Mapping[str, str], name: str, default: float, *, least: int = 0, most: float = MOST) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise NotConfigured(f"{name} must be a number from {least} to {most:,.0f}")
    return number


def _one_of(env: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """The first of the words is the default."""
    word = env.get(name) or words[0]
    if word not in words:
        raise NotConfigured(f"{name} must be {' or '.join(words)}")
    return word
