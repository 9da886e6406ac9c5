"""Makes the methods of `AsyncRollbook` from those of `Rollbook`, so that each is written once.

A method of a resource makes a job or a query of its arguments, hands it to its context, and returns what that returns.
The context of an asynchronous client returns an awaitable. So the same function serves both clients, with the same
parameters, defaults, docstring and checks, and only the types differ:

    class AsyncUsers:
        get = read(Users.get)  # (user_id) -> Coroutine of User
        identify = returning(AsyncJobHandle, Users.identify)

A method that does something with the result of a call cannot be made in this way. What it does with rows belongs into
its query; else it is written a second time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def read(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method as a coroutine function. Its errors, those of its arguments too, are raised when it is awaited."""

    @wraps(method)
    async def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        pending: Any = method(self, *args, **kwargs)
        result: T = await pending
        return result

    return call


def returning(
    kind: type[T], method: Callable[Concatenate[Any, P], object]
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The same for a method whose context returns another type to coroutines."""
    call: Any = read(method)
    call.__signature__ = inspect.signature(method).replace(return_annotation=kind.__name__)
    call.__annotations__ = {**method.__annotations__, "return": kind.__name__}
    result: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]] = call
    return result
