"""The whole examination, in this order: the versions here, Postgres, Redis, the workers, the outbox."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from rollbook_ops.doctor.clocks import LocalClock
from rollbook_ops.doctor.findings import Finding, Level
from rollbook_ops.doctor.outbox import examine_outbox
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.doctor.redis import examine_redis
from rollbook_ops.doctor.versions import check_versions, installed_versions
from rollbook_ops.doctor.workers import check_workers
from rollbook_shared.settings import Settings


def examine(settings: Settings, clock: LocalClock = time.time) -> Iterator[Finding]:
    """Check everything. A server that is not available is a finding.

    clock: the time on this machine, in seconds since 1970.

    Raises:
        NotConfigured: a URL is missing or invalid.
    """
    broker_url, _ = settings.need_broker_url(), settings.need_database_url()
    yield from check_versions(installed_versions())
    postgres, redis = list(examine_postgres(settings, clock)), list(examine_redis(settings, clock))
    yield from postgres
    yield from redis
    if is_available("redis", redis):
        yield check_workers(broker_url)
    if settings.outbox_url or is_available("postgres", postgres):
        yield from examine_outbox(settings)


def is_available(server: str, findings: Iterable[Finding]) -> bool:
    """Return whether the server answered."""
    return not any(finding.name == server and finding.level is Level.PROBLEM for finding in findings)
