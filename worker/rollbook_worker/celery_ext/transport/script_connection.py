"""A connection to Redis of one's own, on which nothing is ever tried twice behind one's back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError, NoScriptError, ReadOnlyError

from rollbook_worker.celery_ext.transport.scripts import Script

Words = Sequence[str | int | float]


class Line:
    """For one thread. redis-py's clients repeat a command when the connection breaks, and come back on a connection
    that has forgotten its state: a claim would be made twice, and its first messages wait for their lease to end.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._connection: Any = pool.get_connection()

    @classmethod
    @contextmanager
    def of(cls, pool: ConnectionPool) -> Iterator[Self]:
        """A line for one purpose."""
        line = cls(pool)
        try:
            yield line
        finally:
            line.release()

    def command(self, *words: str | int | float) -> Any:
        """Send a command and return its answer.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: whether it was carried out is not known.
            redis.exceptions.ResponseError: it was rejected.
        """
        self._connection.send_command(*words, check_health=False)
        return self._connection.read_response()

    def run(self, script: Script, keys: Sequence[str], arguments: Words) -> Any:
        """Run a script, sending its text only where the server has not seen it. Raises what `command` does.

        A server that has become a replica counts as a connection that broke: the next one leads to its master.
        """
        try:
            try:
                return self.command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return self.command("EVAL", script.text, len(keys), *keys, *arguments)
        except ReadOnlyError as error:
            self.cut()
            raise ConnectionError(str(error)) from error

    def cut(self) -> None:
        """Break the connection; the next command opens another."""
        self._connection.disconnect()

    def release(self) -> None:
        """Give the connection to whoever needs one next."""
        self._pool.release(self._connection)
