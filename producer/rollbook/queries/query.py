"""A query as a value: its statements and what their rows mean. It holds no connection and no driver.

A query is written as a generator. It yields each statement, gets the rows, and returns the result:

    @query
    def user_name(user_id: str) -> Steps[str]:
        rows = yield Statement("SELECT name FROM rollbook.current_users WHERE id = %(id)s", {"id": user_id})
        return rows[0]["name"]

Whatever runs queries sends the statements to Postgres in its own way; `rollbook.database.Database` does so over
blocking connections, `rollbook.async_database.AsyncDatabase` over those of asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

Rows = Sequence[Mapping[str, Any]]
"""The rows of one statement, each by column name."""
Isolation = Literal["AUTOCOMMIT", "REPEATABLE READ"]
"""With `REPEATABLE READ` all statements of a query see the same snapshot of the database."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement, with its parameters as psycopg takes them."""

    sql: str
    parameters: Mapping[str, object]


Steps = Generator[Statement, Rows, T]
"""The statements of a query in their order, and its result."""


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """What to ask the database for. Running it twice asks twice."""

    steps: Callable[[], Steps[T]]
    """Begins the statements."""
    isolation: Isolation = "AUTOCOMMIT"
    writes: bool = False
    """Whether it changes rows. The connection of any other query refuses to."""


class QueryRunner(Protocol):
    """Runs queries on a database. Safe to use from many threads, and in children forked later."""

    def run(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises.

        Raises:
            Unavailable: the database does not answer in time.
            NotConfigured: it has no tables of Rollbook, or the role in the URL may not do this.
        """

    def close(self) -> None:
        """Close the connections. Running a query opens them again."""


class AsyncQueryRunner(Protocol):
    """Runs queries on a database, from coroutines. Event loops may share it, and so may children forked later."""

    async def run(self, query: Query[T]) -> T:
        """The result of the query, or what the query raises.

        Raises:
            Unavailable, NotConfigured: as `QueryRunner.run`.
        """

    async def aclose(self) -> None:
        """Close the connections. Running a query opens them again."""


def query(function: Callable[P, Steps[T]]) -> Callable[P, Query[T]]:
    """Turn a generator function into one that returns a `Query`."""
    return _query(function, "AUTOCOMMIT", False)


def snapshot_query(function: Callable[P, Steps[T]]) -> Callable[P, Query[T]]:
    """The same, for a query whose statements must see the same snapshot of the database."""
    return _query(function, "REPEATABLE READ", False)


def write_query(function: Callable[P, Steps[T]]) -> Callable[P, Query[T]]:
    """The same, for a query that changes rows."""
    return _query(function, "AUTOCOMMIT", True)


def _query(function: Callable[P, Steps[T]], isolation: Isolation, writes: bool) -> Callable[P, Query[T]]:
    @wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> Query[T]:
        return Query(partial(function, *args, **kwargs), isolation, writes)

    return make
