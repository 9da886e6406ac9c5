"""Databases of a test: made, migrated and dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Composed, Identifier


def migrate(database_url: str) -> None:
    """Bring a database to the newest schema, as operators do."""
    environment = os.environ | {"ROLLBOOK_DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-m", "rollbook_worker.migrations"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the migration failed:\n{done.stdout}{done.stderr}")


def with_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def drop_database(url: str, name: str) -> None:
    administer(url, SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def administer(url: str, statement: Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
