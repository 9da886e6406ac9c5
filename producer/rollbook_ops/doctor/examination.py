"""The whole examination, in this order: the versions here, Postgres, Redis, whether they belong together, the workers,
the outbox, the HTTP server and its console.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final

from rollbook_ops.doctor.clocks import LocalClock
from rollbook_ops.doctor.console import examine_console
from rollbook_ops.doctor.http_server import examine_http_server
from rollbook_ops.doctor.outbox import examine_outbox
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.doctor.queue_owner import check_queue_owner
from rollbook_ops.doctor.redis import examine_redis
from rollbook_ops.doctor.versions import check_versions, installed_versions
from rollbook_ops.doctor.workers import check_workers
from rollbook_server.console.settings import ConsoleSettings
from rollbook_server.settings import ServerSettings
from rollbook_shared.observability.findings import Finding, Level
from rollbook_shared.settings import Settings

_NO_SERVER: Final = ServerSettings()
_NO_CONSOLE: Final = ConsoleSettings()


def examine(
    settings: Settings,
    clock: LocalClock = time.time,
    *,
    server: ServerSettings = _NO_SERVER,
    console: ConsoleSettings = _NO_CONSOLE,
) -> Iterator[Finding]:
    """Check everything. A server that is not available is a finding.

    clock: the time on this machine, in seconds since 1970.
    server: the settings of the HTTP server.
    console: the settings of its console.

    Raises:
        NotConfigured: a URL is missing or invalid.
    """
    broker_url, _ = settings.need_broker_url(), settings.need_database_url()
    yield from check_versions(installed_versions())
    postgres, redis = list(examine_postgres(settings, clock)), list(examine_redis(settings, clock))
    yield from postgres
    yield from redis
    if is_available("redis", redis) and is_available("postgres", postgres):
        yield check_queue_owner(settings)
    if is_available("redis", redis):
        yield check_workers(broker_url)
    if settings.outbox_url or is_available("postgres", postgres):
        yield from examine_outbox(settings)
    yield from examine_http_server(settings, server)
    yield from examine_console(settings, console)


def is_available(server: str, findings: Iterable[Finding]) -> bool:
    """Return whether the server answered."""
    return not any(finding.name == server and finding.level is Level.PROBLEM for finding in findings)
