"""Flushes buffers at an ordinary exit of the process, also of a child that skips Python's `atexit`.

| process | what runs at its exit |
| --- | --- |
| the main process; a child of `os.fork` or gunicorn | `atexit` |
| a child of `multiprocessing`, `ProcessPoolExecutor` or billiard | the finalizers of `multiprocessing` or billiard |
| a child of Celery's prefork pool | Celery's signal `worker_process_shutdown` |

A process that is killed runs nothing, nor does one that ends by `os._exit`, as the work horses of RQ do.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import Any, Final, Protocol

_LAST: Final = -1_000
"""Priority of a `Finalize`: after those of the application, which may still fill a buffer."""
_FINALIZERS: Final = ("multiprocessing.util", "billiard.util")


class Flushes(Protocol):
    """An object that holds what is not sent yet."""

    def flush_at_exit(self) -> None:
        """Send it, and raise nothing. Called again, it sends what has come since."""


_flushed: Final[weakref.WeakSet[Flushes]] = weakref.WeakSet()
_registered_in = 0
"""The process whose hooks are registered, except for `atexit`, which children inherit."""


def flush_at_exit(holder: Flushes) -> None:
    """Flush the holder at the exit of this process and of its children, as long as it lives."""
    _flushed.add(holder)
    # The last to be registered is the first to run: the application's tracer still takes the spans of what is sent.
    atexit.unregister(_flush_all)
    atexit.register(_flush_all)


def register_exit_hooks() -> None:
    """Make sure that this process flushes at its exit. A child must call it before it holds anything.

    Not once at the fork: multiprocessing and billiard forget the finalizers of the parent, and of what was registered
    before.
    """
    global _registered_in
    if _registered_in == os.getpid():
        return
    _registered_in = os.getpid()
    # Only what is imported anyway: another kind of child has not been started by it.
    for name in _FINALIZERS:
        if (module := sys.modules.get(name)) is not None:
            module.Finalize(None, _flush_all, exitpriority=_LAST)
    if (signals := sys.modules.get("celery.signals")) is not None:
        signals.worker_process_shutdown.connect(_on_celery_exit, weak=False, dispatch_uid=__name__)


def _on_celery_exit(**_: Any) -> None:
    _flush_all()


def _flush_all() -> None:
    for holder in list(_flushed):
        holder.flush_at_exit()
