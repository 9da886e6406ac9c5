"""Runs Lua scripts on a connection of its own, and never retries one silently."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any, Self

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError, NoScriptError, ReadOnlyError

Arguments = Sequence[str | int | float]


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A script, and the hash by which Redis knows it after the first run."""

    text: str
    sha: str

    @classmethod
    def load(cls, name: str) -> Self:
        """Read `scripts/NAME.lua`, and put `scripts/message.lua`, which all scripts share, before it."""
        folder = resources.files(__package__) / "scripts"
        text = "".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("message", name))
        return cls(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class ScriptConnection:
    """A connection for one thread.

    redis-py's clients repeat a command when the connection breaks, on a new connection that has lost the old one's
    state. A claim would then be made twice, and the messages of the first would wait until their leases expire.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._connection: Any = pool.get_connection()

    @classmethod
    @contextmanager
    def borrow(cls, pool: ConnectionPool) -> Iterator[Self]:
        """Take a connection from the pool for the time of a `with`."""
        connection = cls(pool)
        try:
            yield connection
        finally:
            connection.return_to_pool()

    def command(self, *words: str | int | float) -> Any:
        """Send a command and return its answer.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: it may have been executed, or not.
            redis.exceptions.ResponseError: Redis rejected it.
        """
        self._connection.send_command(*words, check_health=False)
        return self._connection.read_response()

    def run(self, script: LuaScript, keys: Sequence[str], arguments: Arguments) -> Any:
        """Run a script; send its text only if the server does not know it yet. Raises what `command` raises.

        A server that became a replica counts as a broken connection: the next connection leads to its master.
        """
        try:
            try:
                return self.command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return self.command("EVAL", script.text, len(keys), *keys, *arguments)
        except ReadOnlyError as error:
            self.disconnect()
            raise ConnectionError(str(error)) from error

    def disconnect(self) -> None:
        """Close the connection; the next command opens another."""
        self._connection.disconnect()

    def return_to_pool(self) -> None:
        self._pool.release(self._connection)
