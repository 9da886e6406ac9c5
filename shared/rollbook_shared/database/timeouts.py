"""Connections to Postgres that do not wait for ever.

Three things can keep an answer away, and each needs a bound of its own: a statement that takes long, which the server
ends (`statement_timeout`); a machine that is gone, which TCP notices (`tcp_user_timeout`, keepalives); and a server
that is there and silent, such as a stopped process or a stuck disk, whose kernel goes on acknowledging. Against the
last only the client's own clock helps; looking at it costs about 6 microseconds a round trip.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import timedelta
from time import monotonic
from typing import Any, ClassVar, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rollbook_shared.errors import NotConfigured

T = TypeVar("T")

CONNECT_SECONDS: Final = 5
GRACE: Final = timedelta(seconds=5)
"""How much longer than a statement may take its answer is waited for at most, so that a live server gives up first."""

TCP_TIMEOUTS: Final[Mapping[str, int]] = {
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": 15_000,  # milliseconds
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""For libpq: when a machine that says nothing is taken for gone."""


class ResponseTimeout(psycopg.OperationalError):
    """The server did not answer in time."""

    def __init__(self) -> None:
        super().__init__("the server did not answer in time")


class TimeoutConnection(psycopg.Connection[Any]):
    """A connection that closes itself and raises `ResponseTimeout` when an answer takes longer than `patience` seconds.

    Make the class with `patient`.
    """

    patience: ClassVar[float]

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """See psycopg: every wait for the server, once connected, is this one."""
        try:
            return super().wait(_until(gen, monotonic() + self.patience), *args, **kwargs)
        except ResponseTimeout:
            self.close()
            raise


def patient(statement: timedelta) -> type[TimeoutConnection]:
    """Connections on which statements may take so long, and answers a little longer."""
    longest = statement + min(statement, GRACE)
    return type("TimeoutConnection", (TimeoutConnection,), {"patience": longest.total_seconds()})


def connection_options(url: str, statement: timedelta, lock: timedelta | None = None) -> dict[str, Any]:
    """What to connect to this URL with, so that the server ends statements in time. What the URL says itself stands.

    Raises:
        NotConfigured: it is no URL of a Postgres.
    """
    try:
        own = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        what = "it must be like postgresql://user@127.0.0.1:5432/app"
        raise NotConfigured(f"the database's URL cannot be used; {what}") from None
    bounds = {"statement_timeout": statement, **({"lock_timeout": lock} if lock else {})}
    told = " ".join(f"-c {name}={span // timedelta(milliseconds=1)}" for name, span in bounds.items())
    return {**TCP_TIMEOUTS, **own, "options": f"{told} {own.get('options') or ''}".strip()}


def _until(gen: Generator[Any, Any, T], deadline: float) -> Generator[Any, Any, T]:
    # psycopg wakes ten times a second, and sends None or 0 where nothing has come
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and monotonic() > deadline:
                gen.close()
                raise ResponseTimeout
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
