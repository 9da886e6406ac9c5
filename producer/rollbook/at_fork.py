"""Sockets are not shared across a fork: what holds connections lets go of them in the child, and opens its own there.

`multiprocessing` hooks would not do: gunicorn and uWSGI fork by themselves.
"""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class HoldsConnections(Protocol):
    """Something that must not use its parent's connections."""

    def drop_inherited_connections(self) -> None:
        """Drop connections and locks without a word to the servers, which still talk to the parent."""


_holders: Final[weakref.WeakSet[HoldsConnections]] = weakref.WeakSet()


def reset_after_fork(holder: HoldsConnections) -> None:
    """Have `holder` forget its connections in every process forked from this one. Does not keep the holder alive."""
    _holders.add(holder)


def _forget_all() -> None:
    for holder in list(_holders):
        holder.drop_inherited_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
