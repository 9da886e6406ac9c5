"""Migrations while workers run: no statement waits long for one, and what the last release uses stays."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.errors import Unavailable
from rollbook_worker.migrations import locking, versions
from rollbook_worker.migrations import runner as migrating

BEFORE_THE_FIRST_RELEASE = {"0001"}
"""They made the schema: there was no worker of a version before."""

EXPANDS_A_TABLE = """
from alembic import op

revision = "next"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("CREATE TABLE rollbook.first_of_two (n integer)")
    op.execute("ALTER TABLE rollbook.jobs ADD COLUMN probe integer")
"""


def _head() -> str:
    found = ScriptDirectory.from_config(migrating.alembic_config()).get_current_head()
    assert found is not None
    return found


HEAD = _head()


@pytest.fixture
def url(fresh_database_url: str) -> str:
    return fresh_database_url


@pytest.fixture
def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration after the last, which changes a table that every worker writes to."""
    (tmp_path / "next.py").write_text(EXPANDS_A_TABLE.format(head=HEAD))
    config = migrating.alembic_config

    def with_one_more(schema: str) -> Config:
        own = config(schema)
        own.set_main_option("path_separator", "os")
        own.set_main_option("version_locations", f"{Path(versions.__path__[0])}:{tmp_path}")
        return own

    monkeypatch.setattr(migrating, "alembic_config", with_one_more)


@pytest.fixture
def reader(url: str) -> Iterator[psycopg.Connection]:
    """A connection that has read the table in a transaction that stays open."""
    with psycopg.connect(url, application_name="a long report") as connection:
        connection.execute("SELECT count(*) FROM rollbook.jobs")
        yield connection


def version(url: str) -> str:
    with psycopg.connect(url) as connection:
        (found,) = connection.execute("SELECT version_num FROM rollbook.alembic_version").fetchone() or ("",)
    return str(found)


def write(connection: psycopg.Connection, number: int) -> float:
    """Write what a worker writes; return how many seconds that took."""
    started = time.monotonic()
    connection.execute(
        "INSERT INTO rollbook.jobs (id, kind, digest, state, occurred_at, finished_at)"
        " VALUES (%s, 'identify', '', 'applied', 0, now())",
        (f"w{number}",),
    )
    return time.monotonic() - started


@pytest.mark.usefixtures("one_more")
def test_a_migration_that_meets_a_lock_lets_writers_pass_and_tries_again(url: str, reader: psycopg.Connection) -> None:
    said: Queue[str] = Queue()
    thread = threading.Thread(target=migrating.migrate, args=(url,), kwargs={"report": said.put})
    took: list[float] = []

    with psycopg.connect(url, autocommit=True) as writer:
        thread.start()
        while said.qsize() < 2:
            took.append(write(writer, len(took)))
            time.sleep(0.002)
        assert version(url) != "next"
        reader.rollback()
        thread.join(DEADLINE_SECONDS)
        took.append(write(writer, len(took)))

    assert version(url) == "next"
    line = said.get()
    assert "a long report, idle in transaction" in line
    # one who wrote waited behind it, or nothing is tested here; none waited longer than it
    assert locking.LOCK_SECONDS * 0.5 < max(took) < locking.LOCK_SECONDS + 1


@pytest.mark.usefixtures("one_more")
def test_a_migration_that_times_out_leaves_nothing_half_done(url: str, reader: psycopg.Connection) -> None:
    with pytest.raises(Unavailable, match="lock timeout"):
        migrating.migrate(url, timeout=0)

    assert version(url) == HEAD
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('rollbook.first_of_two')").fetchone() == (None,)
    reader.rollback()
    migrating.migrate(url)
    assert version(url) == "next"


def test_a_migration_waits_longer_for_another_migration_than_for_a_lock(url: str) -> None:
    said: Queue[str] = Queue()
    thread = threading.Thread(target=migrating.migrate, args=(url,), kwargs={"report": said.put})

    with psycopg.connect(url, autocommit=True, application_name="the other one") as other:
        other.execute(f"SELECT pg_advisory_lock({locking._KEY})".encode())
        holder = other.info.backend_pid
        thread.start()
        thread.join(locking.LOCK_SECONDS + 0.5)
        assert thread.is_alive()

    thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()
    assert f"process {holder}, the other one, role postgres" in said.get()
    assert said.empty()


def test_no_login_holds_migrations_up_for_ever(url: str) -> None:
    with psycopg.connect(url, autocommit=True, application_name="another's") as other:
        other.execute(f"SELECT pg_advisory_lock({locking._KEY})".encode())

        with pytest.raises(Unavailable, match=f"process {other.info.backend_pid}, another's, role postgres"):
            migrating.migrate(url, timeout=0.2)

    migrating.migrate(url)


# What locks a table for as long as it is large, or takes away what the last release uses.
CONTRACTS = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|VIEW|FUNCTION|SCHEMA)\b|\bRENAME\b|\bALTER\s+(COLUMN\s+)?\w+\s+(TYPE|SET\s+NOT\s+NULL)\b",
    re.IGNORECASE,
)
REWRITES = re.compile(
    r"\bCREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)|^\s*UPDATE\b|^\s*DELETE\b|\bVACUUM\s+FULL\b|\bCLUSTER\b",
    re.IGNORECASE | re.MULTILINE,
)
CONSTRAINS = re.compile(r"\bADD\s+CONSTRAINT\b[^;]*?(;|$)", re.IGNORECASE | re.DOTALL)


def objections(migration: str) -> list[str]:
    """What is wrong with the text of a migration."""
    found = [match.group(0) for match in REWRITES.finditer(migration)]
    found += [
        match.group(0) for match in CONSTRAINS.finditer(migration) if not re.search("NOT VALID", match.group(0), re.I)
    ]
    if not re.search(r"^contracts = ", migration, re.MULTILINE):
        found += [match.group(0) for match in CONTRACTS.finditer(migration)]
    return found


def later() -> list[Path]:
    folder = Path(versions.__path__[0])
    return sorted(path for path in folder.glob("0*.py") if path.name.partition("_")[0] not in BEFORE_THE_FIRST_RELEASE)


def test_later_migrations_expand_first_and_contract_a_release_later() -> None:
    assert {path.name: objections(path.read_text()) for path in later() if objections(path.read_text())} == {}


@pytest.mark.parametrize(
    "migration",
    [
        "ALTER TABLE rollbook.jobs DROP COLUMN detail",
        "ALTER TABLE rollbook.jobs RENAME COLUMN detail TO details",
        "ALTER TABLE rollbook.jobs ALTER COLUMN kind TYPE varchar",
        "CREATE INDEX jobs_kind ON rollbook.jobs (kind)",
        "UPDATE rollbook.users SET last_stamp = first_identified",
        "ALTER TABLE rollbook.jobs ADD CONSTRAINT positive CHECK (duplicates >= 0);",
    ],
)
def test_a_migration_that_would_lock_or_break_is_found(migration: str) -> None:
    assert objections(migration)


@pytest.mark.parametrize(
    "migration",
    [
        "ALTER TABLE rollbook.jobs ADD COLUMN probe integer",
        "DROP INDEX CONCURRENTLY IF EXISTS rollbook.x;\nCREATE INDEX CONCURRENTLY x ON rollbook.jobs (kind)",
        "ALTER TABLE rollbook.jobs ADD CONSTRAINT positive CHECK (duplicates >= 0) NOT VALID;",
        'contracts = "detail"\n\nALTER TABLE rollbook.jobs DROP COLUMN detail',
    ],
)
def test_a_migration_that_expands_or_declares_its_contraction_passes(migration: str) -> None:
    assert objections(migration) == []
