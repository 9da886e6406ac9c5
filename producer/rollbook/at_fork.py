"""Resets connections after a fork: sockets must not be shared, so a child drops them and opens its own.

Hooks of `multiprocessing` are not enough: gunicorn and uWSGI fork without it.
"""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class HoldsConnections(Protocol):
    """An object that must not use connections of the parent process."""

    def drop_inherited_connections(self) -> None:
        """Drop connections and locks, and send the servers nothing: the parent still uses the connections."""


_holders: Final[weakref.WeakSet[HoldsConnections]] = weakref.WeakSet()


def reset_after_fork(holder: HoldsConnections) -> None:
    """Call `drop_inherited_connections` of the holder in every process forked from this one, while the holder lives."""
    _holders.add(holder)


def _drop_all() -> None:
    for holder in list(_holders):
        holder.drop_inherited_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_all)
