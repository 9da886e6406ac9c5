"""Coroutines in tests: tests that are coroutines, and an asynchronous client for tests that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, cast

from tests.support.waits import DEADLINE_SECONDS

from rollbook import AsyncRollbook, Rollbook

P = ParamSpec("P")
T = TypeVar("T")


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the test in an event loop of its own."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await test(*args, **kwargs)

        asyncio.run(main())

    return run


class LoopThread:
    """A thread that runs an event loop until the end of the `with` block."""

    def __enter__(self) -> LoopThread:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-loop", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE_SECONDS)
        self.loop.close()

    def run(self, awaitable: Awaitable[T]) -> T:
        async def main() -> T:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(main(), self.loop).result(DEADLINE_SECONDS)

    def blocking(self, client: AsyncRollbook) -> Rollbook:
        """The client with methods that block, so that a test of `Rollbook` can run on it."""
        return cast(Rollbook, _Blocking(client, self))


CLIENTS: Final = ("Rollbook", "AsyncRollbook")


@contextmanager
def open_client(kind: str, *, broker_url: str | None = None, database_url: str | None = None) -> Iterator[Rollbook]:
    """One of the `CLIENTS`, with methods that block."""
    if kind == "Rollbook":
        with Rollbook(broker_url=broker_url, database_url=database_url) as rb:
            yield rb
        return
    with LoopThread() as loop, loop.blocking(AsyncRollbook(broker_url=broker_url, database_url=database_url)) as rb:
        yield rb


class _Blocking:
    def __init__(self, target: object, thread: LoopThread) -> None:
        self._target = target
        self._thread = thread

    def __getattr__(self, name: str) -> Any:
        return self._blocking(getattr(self._target, "aclose" if name == "close" else name))

    def __enter__(self) -> _Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _blocking(self, value: Any) -> Any:
        if asyncio.iscoroutine(value):
            return self._blocking(self._thread.run(value))
        if isinstance(value, AsyncIterator):
            return self._iterate(value)
        if callable(value):
            return lambda *args, **kwargs: self._blocking(value(*args, **kwargs))
        if type(value).__name__.startswith("Async"):
            return _Blocking(value, self._thread)
        return value

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._thread.run(anext(items))
            except StopAsyncIteration:
                return
