"""Connections to Postgres that do not wait for ever.

Three things can keep a response away, and each needs a timeout of its own: a statement that takes long, which the
server ends (`statement_timeout`); a machine that is gone, which TCP notices (`tcp_user_timeout`, keepalives); and a
server that is connected but silent, such as a stopped process or a stuck disk, whose kernel goes on acknowledging.
`session` sets the first two. Against the last only the client's own clock helps; reading it costs about 6 microseconds
a round trip.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from time import monotonic
from typing import Any, ClassVar, Final, TypeVar

import psycopg

from rollbook_shared.database.shared_sessions import ShareableConnection

T = TypeVar("T")

GRACE: Final = timedelta(seconds=5)
"""How much longer than the statement timeout the client waits at most, so that a live server gives up first."""


class ResponseTimeout(psycopg.OperationalError):
    """The server did not answer in time."""

    def __init__(self) -> None:
        super().__init__("the server did not answer in time")


class TimeoutConnection(ShareableConnection, psycopg.Connection[Any]):
    """A connection that closes itself and raises `ResponseTimeout` if a response takes longer than `response_seconds`.

    Make the class with `timeout_connection`.
    """

    response_seconds: ClassVar[float]

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """See psycopg: every wait for the server, once connected, is this one."""
        try:
            return super().wait(_until(gen, monotonic() + self.response_seconds), *args, **kwargs)
        except ResponseTimeout:
            self.close()
            raise


def timeout_connection(statement: timedelta) -> type[TimeoutConnection]:
    """A class of connections for statements that take at most this long; the client waits a little longer."""
    return type("TimeoutConnection", (TimeoutConnection,), {"response_seconds": response_seconds(statement)})


def response_seconds(statement: timedelta) -> float:
    """How long to wait for the response to a statement that may take so long."""
    return (statement + min(statement, GRACE)).total_seconds()


def _until(gen: Generator[Any, Any, T], deadline: float) -> Generator[Any, Any, T]:
    # psycopg wakes ten times a second, and sends None or 0 if nothing has come
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
