"""Each migrated database has an id of its own, which backups keep."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.errors import CheckViolation, UniqueViolation

from rollbook_shared.database.store_id import read_store_id
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_worker.migrations.runner import migrate


def test_two_migrated_databases_have_ids_of_their_own(own_empty_database: str, database_url: str) -> None:
    with pytest.raises(NotConfigured, match="run `rollbook migrate`"):
        read_store_id(own_empty_database)

    migrate(own_empty_database)
    id_ = read_store_id(own_empty_database)
    migrate(own_empty_database)

    assert id_ == read_store_id(own_empty_database) != read_store_id(database_url)


def test_a_database_has_one_id(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        with pytest.raises(UniqueViolation):
            connection.execute("INSERT INTO rollbook.store DEFAULT VALUES")
        with pytest.raises(CheckViolation):
            connection.execute("INSERT INTO rollbook.store (is_only) VALUES (false)")


def test_a_database_that_is_away_is_said_to_be() -> None:
    with pytest.raises(Unavailable, match="the database is not available"):
        read_store_id("postgresql://unknown@127.0.0.1:1/none")
