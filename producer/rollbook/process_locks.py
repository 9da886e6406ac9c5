"""Locks that each process makes when it first needs them.

A child must not use a lock from before the fork: another thread of the parent may have held it, and nothing in the
child releases it. Nor may a process use a lock from before it replaced Python's locks: a greenlet that waits for such a
lock blocks all greenlets, the one that holds it too. gunicorn's gevent worker replaces them in each child, after its
parent has imported the application (`--preload`) and made the client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

T = TypeVar("T")


class ProcessLock(Generic[T]):
    """An attribute whose value `make` returns when the process first reads it. Later reads cost nothing more."""

    def __init__(self, make: Callable[[], T]) -> None:
        """`make` names what it makes as `threading.Lock` does, so that it finds the replacement if there is one."""
        self._make: Final = make
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> T:
        # In one step: threads that come at once get the same lock. (`cached_property` promises that no more.)
        return cast(T, instance.__dict__.setdefault(self._name, self._make()))


def renew_locks(instance: object) -> None:
    """Let the instance make its locks anew. For a child, right after the fork."""
    for owner in type(instance).__mro__:
        for name, attribute in vars(owner).items():
            if isinstance(attribute, ProcessLock):
                instance.__dict__.pop(name, None)
