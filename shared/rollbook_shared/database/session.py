"""The settings with which every connection of ours to Postgres works.

A setting of the server, the database, the role, the environment (`PGOPTIONS`, `PGDATESTYLE`, `PGTZ`, ...) or the URL
could change what a statement means, what its answer looks like, and whether a commit lasts. So each connection says
itself what it needs:

- What decides about meaning and answers is always ours (`_FIXED`), whatever the URL says. `search_path` belongs to
  this: a role that may create an operator in `public` would otherwise have it run by each statement that matches it
  better than Postgres' own.
- Timeouts, and how durable a commit is, may be set in the URL (`options=-c%20statement_timeout%3D5s`), and so may
  psycopg's `prepare_threshold`.

The settings travel as `options` when the connection starts, and win there over server, database and role. libpq sends
`PGDATESTYLE` and `PGTZ` after them, and two more settings depend on what the server says; `first_statement` is for
these.

A connection pooler may drop or reject `options`, and give each transaction another session (`shared_sessions`). So the
first statement looks whether the settings have arrived, in the very process that the connection was promised; if not,
it changes nothing, and each transaction brings its settings along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg.sql import Composed
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from rollbook_shared.database.schema import DEFAULT_SCHEMA, require_schema
from rollbook_shared.database.schema_cursor import use_schema
from rollbook_shared.database.shared_sessions import ShareableConnection, SharedSession, set_locally
from rollbook_shared.database.url import parse_database_url
from rollbook_shared.reasons import rejected_by_pooler

ConnectionT = TypeVar("ConnectionT", bound=psycopg.Connection[Any])
AsyncConnectionT = TypeVar("AsyncConnectionT", bound=psycopg.AsyncConnection[Any])

CONNECT_SECONDS: Final = 5
SEARCH_PATH: Final = "pg_catalog,pg_temp"
"""Our statements name the schema of everything else. Without `pg_temp` its tables would come first."""

TCP_TIMEOUTS: Final[Mapping[str, int]] = {
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": 15_000,  # milliseconds
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""For libpq: when a silent machine counts as gone."""
_SERVER_TCP_TIMEOUTS: Final[Mapping[str, str]] = {
    "tcp_user_timeout": str(TCP_TIMEOUTS["tcp_user_timeout"]),
    "tcp_keepalives_idle": str(TCP_TIMEOUTS["keepalives_idle"]),
    "tcp_keepalives_interval": str(TCP_TIMEOUTS["keepalives_interval"]),
    "tcp_keepalives_count": str(TCP_TIMEOUTS["keepalives_count"]),
}
"""The same for the server, whose own are hours: a machine that is gone says nothing, and would keep its locks. Not in
sessions that a pooler shares: the pooler is at their other end."""
IDLE_IN_TRANSACTION: Final = timedelta(minutes=5)
"""After which the server ends a transaction whose process says nothing: one that is frozen would keep its locks. No
transaction of ours computes, or waits for another server, for so long."""

_FIXED: Final[Mapping[str, str]] = {
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # even where all is only read: for libpq's `target_session_attrs` a server where this is on is read-only
    "default_transaction_read_only": "off",
    "datestyle": "ISO,MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # otherwise a search in a GIN index returns some of the rows
    "gin_fuzzy_search_limit": "0",
    "exit_on_error": "off",
}
_WORD: Final = re.compile(r"(?:\\.|[^\\\s])+", re.DOTALL)
_OPTION: Final = re.compile(r"(?:-c|--)([\w.-]+)=(.*)", re.DOTALL)
_SPECIAL: Final = re.compile(r"([\\\s])")
_LOADS: Final = partial(from_json, cache_strings="keys")
"""In half the time of Python's own, and integers of any size, which are floats to orjson."""
_MARK: Final[Mapping[str, str]] = {"rollbook_session.is": "own"}
"""No setting of Postgres: it says that the settings have arrived."""

# It may run under any search path, so each name and operator says where it is. A pooler invents the process id that it
# gives to its clients, and each session of its own has another one.
_IS_OWN: Final = """(
    pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) %s::pg_catalog.int4
    AND pg_catalog.current_setting('rollbook_session.is', true) OPERATOR(pg_catalog.=) 'own'
) IS TRUE"""
_FIRST: Final = """
SELECT
    session.is_own,
    CASE WHEN session.is_own THEN pg_catalog.set_config('datestyle', 'ISO,MDY', false) END,
    CASE WHEN session.is_own THEN pg_catalog.set_config('timezone', 'UTC', false) END"""
_READ_ONLY: Final = """,
    CASE WHEN session.is_own THEN pg_catalog.set_config('default_transaction_read_only', 'on', false) END"""
_DURABLE: Final = """,
    CASE WHEN session.is_own AND pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
        THEN pg_catalog.set_config('synchronous_commit', 'local', false)
    END"""
# Postgres has it from version 17 on.
_NO_TRANSACTION_TIMEOUT: Final = """,
    CASE WHEN session.is_own AND pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL
        THEN pg_catalog.set_config('transaction_timeout', '0', false)
    END"""
_FROM: Final = f"""
FROM (SELECT {_IS_OWN} AS is_own) AS session"""
_DURABLE_LOCALLY: Final = """
    CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
        THEN pg_catalog.set_config('synchronous_commit', 'local', true)
    END"""
_NO_TRANSACTION_TIMEOUT_LOCALLY: Final = """
    CASE WHEN pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL
        THEN pg_catalog.set_config('transaction_timeout', '0', true)
    END"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """How to open a connection: connect with `parameters`, then run `first_statement` outside of a transaction."""

    parameters: Mapping[str, Any] = field(repr=False)
    """For libpq. They hold the password."""
    first_statement: LiteralString
    """Its parameter is the id of the process that serves the connection. It gives whether that process serves no other,
    and has the settings.
    """
    local_settings: Composed
    """Sets the same within a transaction, for where it does not."""
    schema: str
    """Of the Rollbook. The cursors that a connection makes run their statements in it."""


def make_session(
    url: str,
    *,
    application_name: str,
    schema: str,
    statement_timeout: timedelta = timedelta(),
    lock_timeout: timedelta = timedelta(),
    connect_seconds: int | None = None,
    is_read_only: bool = False,
    uses_own_search_path: bool = False,
    planner: Mapping[str, str] | None = None,
) -> Session:
    """The session for connections to this URL; see the module for what the URL may say otherwise.

    schema: of the Rollbook.
    statement_timeout, lock_timeout: how long a statement, and its wait for a lock, may take; 0: any time.
    connect_seconds: how long connecting may take, whatever the URL says.
    is_read_only: whether transactions that do not say `READ WRITE` may only read.
    uses_own_search_path: whether `search_path` stays that of the role, the database or the URL. For the outbox, which
        is in a schema of the application's: find it, and name it.
    planner: further settings, about plans.

    Raises:
        NotConfigured: it is no URL of a Postgres, or has an option that is not known, or the schema cannot be used.
    """
    require_schema(schema)
    own = parse_database_url(url)
    own_options = str(own.get("options") or "")
    chosen = _parse_options(own_options)
    defaults = {
        "statement_timeout": _milliseconds(statement_timeout),
        "lock_timeout": _milliseconds(lock_timeout),
        "idle_in_transaction_session_timeout": _milliseconds(IDLE_IN_TRANSACTION),
        "idle_session_timeout": "0",
        # A scan that has to be, though `planner` switches scans off, has a cost for which Postgres before 18 compiles
        # the statement. That takes a second, and no statement of ours computes for so long.
        "jit": "off",
        **(planner or {}),
    }
    fixed = {**_FIXED, **({} if uses_own_search_path else {"search_path": SEARCH_PATH})}
    is_durable, has_timeout = "synchronous_commit" in chosen, "transaction_timeout" in chosen
    return Session(
        parameters={
            "application_name": application_name,
            **TCP_TIMEOUTS,
            **own,
            **({} if connect_seconds is None else {"connect_timeout": connect_seconds}),
            "client_encoding": "UTF8",
            "options": " ".join(
                part
                for part in (_options({**defaults, **_SERVER_TCP_TIMEOUTS}), own_options, _options({**fixed, **_MARK}))
                if part
            ),
        },
        first_statement=_FIRST
        + (_READ_ONLY if is_read_only else "")
        + ("" if is_durable else _DURABLE)
        + ("" if has_timeout else _NO_TRANSACTION_TIMEOUT)
        + _FROM,
        local_settings=set_locally(
            {**defaults, **chosen, **fixed},
            *([] if is_durable else [_DURABLE_LOCALLY]),
            *([] if has_timeout else [_NO_TRANSACTION_TIMEOUT_LOCALLY]),
        ),
        schema=schema,
    )


def open_session(session: Session, connection_class: type[ConnectionT], *, autocommit: bool = True) -> ConnectionT:
    """Open a connection with these settings.

    Raises:
        SharedSession: a pooler shares the session, and the class is not one of `ShareableConnection`.
        psycopg.Error: the server cannot be reached.
    """
    try:
        connection = connection_class.connect(autocommit=True, **session.parameters)
    except psycopg.OperationalError as error:
        connection = connection_class.connect(autocommit=True, **_without_options(session, connection_class, error))
    try:
        found = connection.execute(session.first_statement, (connection.info.backend_pid,), prepare=False).fetchone()
        if found is None or not found[0]:
            _share(connection, session)
        connection.autocommit = autocommit
        set_json_loads(_LOADS, connection)
        if session.schema != DEFAULT_SCHEMA:
            use_schema(connection, session.schema)
    except BaseException:
        connection.close()
        raise
    return connection


async def open_async_session(session: Session, connection_class: type[AsyncConnectionT]) -> AsyncConnectionT:
    """The same, for asyncio; in autocommit.

    Raises:
        SharedSession, psycopg.Error: as `open_session`.
    """
    try:
        connection = await connection_class.connect(autocommit=True, **session.parameters)
    except psycopg.OperationalError as error:
        own = _without_options(session, connection_class, error)
        connection = await connection_class.connect(autocommit=True, **own)
    try:
        cursor = await connection.execute(session.first_statement, (connection.info.backend_pid,), prepare=False)
        found = await cursor.fetchone()
        if found is None or not found[0]:
            _share(connection, session)
        set_json_loads(_LOADS, connection)
    except BaseException:
        await connection.close()
        raise
    return connection


def _without_options(session: Session, connection_class: type[Any], error: psycopg.OperationalError) -> dict[str, Any]:
    """What to connect with instead, if it was a pooler that rejected the settings."""
    if rejected_by_pooler(error) is None or not issubclass(connection_class, ShareableConnection):
        raise error
    return {name: value for name, value in session.parameters.items() if name != "options"}


def _share(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], session: Session) -> None:
    if not isinstance(connection, ShareableConnection):
        raise SharedSession
    connection.local_settings = session.local_settings.as_bytes(connection)
    # they are of one session, and the next transaction may be in another, unless the URL says that the pooler knows
    connection.prepare_threshold = session.parameters.get("prepare_threshold")


def _parse_options(options: str) -> dict[str, str]:
    """The settings that `options` names, as Postgres reads it."""
    words = [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in _WORD.findall(options)]
    joined = [f"-c{after}" if word == "-c" else word for word, after in pairwise([*words, ""])]
    found = filter(None, map(_OPTION.fullmatch, joined))
    return {match[1].replace("-", "_").lower(): match[2] for match in found}


def _options(settings: Mapping[str, str]) -> str:
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def _escaped(value: str) -> str:
    return _SPECIAL.sub(r"\\\1", value)


def _milliseconds(time: timedelta) -> str:
    return str(time // timedelta(milliseconds=1))
