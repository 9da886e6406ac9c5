"""Settings of a worker's processes: Python's garbage collector, and how soon the processes of a prefork pool stop."""

from __future__ import annotations

import gc
from typing import Any, Final

from billiard import pool

LAST_RESULTS_SECONDS: Final = 1.0
"""How long a prefork child that was asked to stop waits for its last results to be read."""
_YOUNG_OBJECTS: Final = 50_000
"""Allocations before the collector searches the youngest generation. Python's default is 700; a bulk job holds more."""


def tune_garbage_collector(**signal: Any) -> None:
    """Search for reference cycles rarely, and never among what the imports made. For the signal `celeryd_init`.

    A worker makes trees, which are freed when the last reference to them goes. Searching took a sixth of a worker
    thread's time with bulk jobs, and found nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


def shorten_stop(**signal: Any) -> None:
    """Let prefork children stop after `LAST_RESULTS_SECONDS`. For the signal `worker_init`, before they are forked.

    A child that was asked to stop waits until all its results count as read. On a busy worker that often does not
    happen, and then it waits for half a minute, after which Kubernetes kills it. A result that is not read costs a
    second delivery of its job, which is safe here.
    """
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = round(
        LAST_RESULTS_SECONDS / pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL
    )
