"""A connection pooler that does not pass a session's settings on is named, and so is the remedy."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from tests.support.sessions.pooler import rejecting_pooler

from rollbook import Rollbook
from rollbook.errors import Unavailable
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_ops.relay.outbox_table import OutboxTable
from rollbook_shared.settings import Settings
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore

MESSAGES = ("unsupported startup parameter: options", "unsupported startup parameter in options: lock_timeout")


@pytest.mark.parametrize("message", MESSAGES)
def test_every_process_names_the_pooler_and_what_it_rejected(message: str) -> None:
    with rejecting_pooler(message) as url:
        tries: list[Callable[[], object]] = [
            lambda: Rollbook(database_url=url).jobs.get("any"),
            lambda: PostgresStore(url).now(),
            lambda: OutboxTable(url).count(),
            lambda: migrate(url),
        ]
        for attempt in tries:
            with pytest.raises(Unavailable, match="PgBouncer") as rejected:
                attempt()
            assert message in str(rejected.value)
            assert "\n" not in str(rejected.value)


@pytest.mark.parametrize("message", MESSAGES)
def test_the_doctor_says_what_to_do(message: str) -> None:
    with rejecting_pooler(message) as url:
        (found,) = examine_postgres(Settings(database_url=url), time.time)

    assert found.level == "problem"
    assert "PgBouncer" in found.summary
    assert "docs/how-to/pgbouncer.md" in found.advice
