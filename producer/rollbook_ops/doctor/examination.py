"""The whole examination, in the order in which one would look: what runs here, Postgres, Redis, workers, outbox."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from rollbook_ops.doctor.clocks import Clock
from rollbook_ops.doctor.findings import Finding, Level
from rollbook_ops.doctor.outbox import examine_outbox
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.doctor.redis import examine_redis
from rollbook_ops.doctor.versions import check_versions, installed
from rollbook_ops.doctor.workers import check_workers
from rollbook_shared.settings import Settings


def examine(settings: Settings, clock: Clock = time.time) -> Iterator[Finding]:
    """Look at everything. A server that is away is a finding.

    clock: the time on this machine, in seconds since 1970.

    Raises:
        NotConfigured: a URL is missing, or is none.
    """
    broker_url, _ = settings.need_broker_url(), settings.need_database_url()
    yield from check_versions(installed())
    postgres, redis = list(examine_postgres(settings, clock)), list(examine_redis(settings, clock))
    yield from postgres
    yield from redis
    if is_there("redis", redis):
        yield check_workers(broker_url)
    if settings.outbox_url or is_there("postgres", postgres):
        yield from examine_outbox(settings)


def is_there(server: str, findings: Iterable[Finding]) -> bool:
    """Whether the server answered."""
    return not any(finding.name == server and finding.level is Level.PROBLEM for finding in findings)
