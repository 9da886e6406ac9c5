"""The console's audit: what erasure takes out of it (rule 11), and how long rows, sessions and links are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from tests.support.builders import NOW, day, delete, identify
from tests.support.stores import OnPostgres, arrive
from tests.support.table_contents import tables_with

from rollbook_shared.jobs.codec import encode
from rollbook_worker.store import PostgresStore

_ROW: Final = """
INSERT INTO rollbook.console_audit (at, account, action, outcome, user_ids, job_id, reason)
VALUES (rollbook.from_microseconds(%s), 'oda', %s, 'done', %s, 'job-1', %s)
"""
_ROWS: Final = "SELECT action, account, user_ids, job_id, reason FROM rollbook.console_audit ORDER BY id"


@pytest.fixture
def store(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def write(store: OnPostgres, action: str, *users: str, at: int, reason: str | None = None) -> None:
    store.connection.execute(_ROW, (at, action, list(users) or None, reason))


def test_rule_11_a_row_keeps_that_something_was_done_and_by_whom_without_the_erased_user(store: OnPostgres) -> None:
    arrive(
        store, encode(identify("marked-ann", at=1, job="j1")), encode(delete("marked-ann", at=5, job="j2")), now=day(5)
    )
    write(store, "users.merge", "marked-ann", "bo", at=day(4), reason="marked-ann called")
    write(store, "reveal", "marked-ann", at=day(4), reason="ticket of marked-ann")
    write(store, "users.delete", "marked-ann", at=day(5) + 2_000_000)
    write(store, "reveal", "bo", at=day(4), reason="ticket 2")

    store.store.cleanup.erase_deleted_users(now=day(6, 1))

    assert tables_with(store, "marked-ann") == []
    assert store.connection.execute(_ROWS).fetchall() == [
        ("users.merge", "oda", ["bo"], "job-1", None),
        ("reveal", "oda", None, "job-1", None),
        ("users.delete", "oda", None, "job-1", None),
        ("reveal", "oda", ["bo"], "job-1", "ticket 2"),
    ]
    ((erased,),) = store.connection.execute("SELECT erased FROM rollbook.erasure_receipts").fetchall()
    assert erased["console_audit"] == 3


def test_rule_10_what_was_done_with_a_user_who_has_the_id_again_stays(store: OnPostgres) -> None:
    arrive(store, encode(identify("ann", at=1)), encode(delete("ann", at=5)), now=day(5))
    write(store, "reveal", "ann", at=day(7), reason="ticket of the new one")

    store.store.cleanup.erase_deleted_users(now=day(8))

    assert store.connection.execute(_ROWS).fetchall() == [("reveal", "oda", ["ann"], "job-1", "ticket of the new one")]


def test_rows_are_pruned_in_chunks_after_their_retention(store: OnPostgres) -> None:
    brief = PostgresStore(store.url, console_audit_retention=timedelta(days=2))
    for number in range(3):
        write(store, "logout", at=day(number))

    assert [brief.cleanup.prune_console(now=day(4, 1), limit=2) for _ in range(2)] == [2, 1]
    brief.close()


def test_sessions_and_links_go_when_they_have_expired(store: OnPostgres) -> None:
    store.connection.execute("INSERT INTO rollbook.console_accounts (name, role) VALUES ('oda', 'reader')")
    for table in ("console_sessions", "console_login_tokens"):
        for token, at in ((b"old", NOW - 1), (b"new", NOW + 1)):
            store.connection.execute(
                f"INSERT INTO rollbook.{table} (token_hash, account, expires_at)"
                " VALUES (%s, 'oda', rollbook.from_microseconds(%s))".encode(),
                (token, at),
            )

    store.store.cleanup.prune_console(now=NOW)

    for table in ("console_sessions", "console_login_tokens"):
        left = store.connection.execute(f"SELECT token_hash FROM rollbook.{table}".encode()).fetchall()
        assert left == [(b"new",)]
