"""Settings of a worker's processes: Python's garbage collector, and how soon the processes of a prefork pool stop."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Final

from billiard import pool
from celery.concurrency.prefork import TaskPool
from celery.utils.log import get_logger

logger = get_logger(__name__)

LAST_RESULTS_SECONDS: Final = 1.0
"""How long a prefork child that was asked to stop waits for its last results to be read."""
CANCELLED_SECONDS: Final = 5.0
"""How long prefork children whose jobs were cancelled may take to end."""
_YOUNG_OBJECTS: Final = 50_000
"""Allocations before the collector searches the youngest generation. Python's default is 700; a bulk job holds more."""


def tune_garbage_collector(**sent: Any) -> None:
    """Search for reference cycles rarely, and never among what the imports made. For the signal `celeryd_init`.

    A worker makes trees, which are freed when the last reference to them goes. Searching took a sixth of a worker
    thread's time with bulk jobs, and found nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


def shorten_stop(**sent: Any) -> None:
    """Let prefork children stop after `LAST_RESULTS_SECONDS`. For the signal `worker_init`, before they are forked.

    A child that was asked to stop waits until all its results count as read. On a busy worker that often does not
    happen, and then it waits for half a minute, after which Kubernetes kills it. A result that is not read costs a
    second delivery of its job, which is safe here.
    """
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = round(
        LAST_RESULTS_SECONDS / pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL
    )


def kill_what_stays(task_pool: TaskPool) -> None:
    """Kill the children of a pool that is being stopped if they have not ended after `CANCELLED_SECONDS`.

    Celery asks them to end and then waits without a bound: for a child that is frozen or swallows the request, and for
    the rest of a result that a child was writing when it ended. That rest never comes, and no end of file either: the
    worker itself holds the other end of the pipe.
    """
    threading.Thread(target=_kill_what_stays, args=[list(task_pool._pool._pool)], daemon=True).start()


def _kill_what_stays(children: list[Any]) -> None:
    time.sleep(CANCELLED_SECONDS)
    staying = [child for child in children if child._popen is not None and child._popen.returncode is None]
    if staying:
        logger.warning("worker: killing %d pool processes that do not end", len(staying))
    for child in staying:
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    for child in children:
        child.outq._writer.close()
