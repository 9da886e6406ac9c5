"""A database that cannot hold every text, and a role that may not create tables, are named in one line."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from tests.support.databases import administer, drop_database, with_database

from rollbook import NotConfigured, Rollbook
from rollbook_ops.doctor.postgres import examine_postgres
from rollbook_shared.errors import Unavailable
from rollbook_shared.settings import Settings
from rollbook_worker.migrations.runner import migrate
from rollbook_worker.store import PostgresStore, ReceivedJob

NAME, ROLE = "unsuitable", "unsuitable_role"


@pytest.fixture(params=["SQL_ASCII", "LATIN1", "EUC_JP"])
def other_encoding(request: pytest.FixtureRequest, database_url: str) -> Iterator[tuple[str, str]]:
    """A database in another encoding: its URL, and the encoding."""
    create = sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0")
    administer(database_url, create.format(sql.Identifier(NAME), sql.Literal(request.param)))
    try:
        yield with_database(database_url, NAME), request.param
    finally:
        drop_database(database_url, NAME)


def test_a_database_that_is_not_in_utf8_is_rejected(other_encoding: tuple[str, str]) -> None:
    url, encoding = other_encoding

    with pytest.raises(NotConfigured, match=f"encoding {encoding}; Rollbook needs UTF8"):
        migrate(url)
    with Rollbook(database_url=url) as rb, pytest.raises(NotConfigured, match=f"encoding {encoding}"):
        rb.users.get("ann")
    with pytest.raises(Unavailable, match=f"encoding {encoding}"):  # the jobs must wait
        PostgresStore(url).apply([ReceivedJob.of("junk")])
    (finding,) = [each for each in examine_postgres(Settings(database_url=url), lambda: 0.0) if each.level == "problem"]
    assert finding.summary == f"the database has the encoding {encoding}"


def test_a_role_that_may_not_create_the_schema_reads_who_may(database_url: str) -> None:
    administer(database_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
    administer(database_url, sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p'").format(sql.Identifier(ROLE)))
    url = with_database(database_url, NAME)
    parameters = psycopg.conninfo.conninfo_to_dict(url)
    theirs = f"postgresql://{ROLE}:p@{parameters['host']}:{parameters['port']}/{NAME}"
    try:
        with pytest.raises(NotConfigured, match="permission denied for database unsuitable; migrate as") as rejected:
            migrate(theirs)
        assert "\n" not in str(rejected.value)
    finally:
        drop_database(database_url, NAME)
        administer(database_url, sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))
