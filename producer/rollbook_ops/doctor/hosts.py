"""Checks the servers that a URL with several hosts names: that just one of them accepts writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import psycopg

from rollbook_ops.formatting import format_duration
from rollbook_shared.database.failover import looks_for_primary
from rollbook_shared.database.session import Session, open_session
from rollbook_shared.database.shared_sessions import transaction
from rollbook_shared.database.statements import load
from rollbook_shared.database.timeouts import timeout_connection
from rollbook_shared.observability.findings import Finding, ok, problem, warning
from rollbook_shared.reasons import safe_reason

_ANSWER: Final = timedelta(seconds=5)
LATE_SECONDS: Final = 30.0
"""A replica that is further behind would lose that much, or delay what is confirmed."""
_NAME: Final = "postgres hosts"
_SQL: Final = load("rollbook_ops.doctor", "postgres")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Host:
    name: str
    failure: str | None = None
    is_replica: bool = False
    behind: float = 0.0
    """Seconds, of a replica."""


def check_hosts(session: Session) -> Iterator[Finding]:
    """Ask each host of the session's URL, if it names more than one."""
    names = _split(session)
    if len(names) < 2:
        return
    hosts = [_ask(session, name) for name in names]
    writing = [host.name for host in hosts if not host.is_replica and host.failure is None]
    if len(writing) > 1:
        summary = f"more than one accepts writes: {', '.join(writing)}"
        yield problem(_NAME, summary, "An old primary has come back: stop it at once. See docs/how-to/failover.md.")
        return
    for host in hosts:
        if host.failure is not None:
            yield warning(_NAME, f"{host.name}: {host.failure}", "Without it nothing is there to be promoted.")
        elif host.behind > LATE_SECONDS:
            advice = "If it is not synchronous, a failover loses as much. Is its network, or its disk, slow?"
            yield warning(_NAME, f"{host.name} is {format_duration(host.behind)} behind", advice)
    if not looks_for_primary(session.parameters):
        advice = "Add target_session_attrs=read-write to the URL: otherwise a process may stay with the replica."
        yield warning(_NAME, f"the URL does not say which of {len(hosts)} hosts to choose", advice)
    elif all(host.failure is None and host.behind <= LATE_SECONDS for host in hosts):
        roles = (f"{host.name} {'follows' if host.is_replica else 'accepts writes'}" for host in hosts)
        yield ok(_NAME, ", ".join(roles))


def _split(session: Session) -> list[tuple[str, str]]:
    """Each host with its port."""
    hosts = str(session.parameters.get("host") or "").split(",")
    ports = str(session.parameters.get("port") or "5432").split(",")
    return [(host, ports[at if len(ports) == len(hosts) else 0]) for at, host in enumerate(hosts)]


def _ask(session: Session, address: tuple[str, str]) -> _Host:
    host, port = address
    name = f"{host}:{port}"
    alone = {**session.parameters, "host": host, "port": port, "target_session_attrs": "any"}
    try:
        with (
            open_session(replace(session, parameters=alone), timeout_connection(_ANSWER)) as connection,
            transaction(connection),
        ):
            found = connection.execute(_SQL["replication"]).fetchone()
    except psycopg.Error as error:
        return _Host(name=name, failure=safe_reason(error))
    assert found is not None
    return _Host(name=name, is_replica=found[0], behind=found[1])
