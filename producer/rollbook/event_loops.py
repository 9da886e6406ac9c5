"""What a client holds for each event loop that uses it.

Connections belong to the loop that opened them, and a process may run several loops: one in each of several threads, or
one after the other, as tests and `asyncio.run` do. So a client keeps a value for each of them.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from rollbook.at_fork import reset_after_fork


class Closes(Protocol):
    """An object that holds connections of one event loop."""

    async def aclose(self) -> None:
        """Close the connections that are not in use, and each of the others when its user is done with it."""


T = TypeVar("T", bound=Closes)

_inherited: Final[list[object]] = []
"""What a forked child has of its parent's loops. Kept for ever: a child that closed it would take the sockets out of
the parent's selector, which both share.
"""


class PerLoop(Generic[T]):
    """Makes a value for each event loop that asks. Loops of several threads may share it."""

    def __init__(self, make: Callable[[], T]) -> None:
        """`make` is called within the loop."""
        self._make = make
        self._values: dict[AbstractEventLoop, T] = {}
        self._last: tuple[AbstractEventLoop, T] | None = None
        """Of the loop that asked last, which mostly is the only one."""
        reset_after_fork(self)

    def get(self) -> T:
        """The value of the running loop."""
        loop = asyncio.get_running_loop()
        if (last := self._last) is not None and last[0] is loop:
            return last[1]
        if (value := self._values.get(loop)) is None:
            for other in [other for other in list(self._values) if other.is_closed()]:
                self._values.pop(other, None)  # its connections are broken
            value = self._values[loop] = self._make()
        self._last = loop, value
        return value

    async def aclose(self) -> None:
        """Close the value of the running loop, and have every other loop that runs close its own."""
        loop = asyncio.get_running_loop()
        values, self._values, self._last = self._values, {}, None
        for other, value in values.items():
            if other is not loop and other.is_running():
                asyncio.run_coroutine_threadsafe(value.aclose(), other)
        if loop in values:
            await values[loop].aclose()

    def drop_inherited_connections(self) -> None:
        # the loop of the parent does not run in the child
        _inherited.append(self._values)
        self._values, self._last = {}, None
