"""The Citus cluster that `ROLLBOOK_TEST_CITUS_URL` names, by a database of its coordinator."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier
from tests.support.databases import Content, migrate, rollbook_in
from tests.support.repository import ROOT

VARIABLE: Final = "ROLLBOOK_TEST_CITUS_URL"
CITUS_URL: Final = os.environ.get(VARIABLE)
_PAGE: Final = ROOT / "docs" / "how-to" / "citus.md"
_SETTING: Final = re.compile(r'-c "ALTER DATABASE \w+ SET ([\w.]+) = (\w+)"')


def documented_settings() -> list[tuple[str, str]]:
    """The settings that the documentation has an operator give the database, each with its value."""
    return _SETTING.findall(_PAGE.read_text())


def set_up(url: str) -> None:
    """Give the database the settings that the documentation has an operator give it."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in documented_settings():
            setting = SQL("ALTER DATABASE {} SET {} = {}")
            words = (Identifier(connection.info.dbname), Identifier(*name.split(".")), SQL(value))
            connection.execute(setting.format(*words))


@contextmanager
def distributed_rollbook(url: str) -> Iterator[Content]:
    """A Rollbook in a distributed schema, which ends with the context."""
    content = rollbook_in(f"citus_{secrets.token_hex(4)}", name="citus")
    migrate(url, content.schema)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT citus_schema_distribute(%s)", (content.schema,))
        yield content
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(content.schema)))
