"""Stops the processes of a prefork pool in time.

A process that was told to stop waits until all its results are said to be read, which on a busy worker often is never
said: then for half a minute, as long as Kubernetes waits before it kills. What a result that is not read costs is that
its jobs come again, and that is safe here; so they wait for a second.
"""

from __future__ import annotations

from typing import Any, Final

from billiard import pool

LAST_RESULTS_SECONDS: Final = 1.0


def stop_soon(**_: Any) -> None:
    """Before the processes are made, which inherit it. For the signal `worker_init`."""
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = round(
        LAST_RESULTS_SECONDS / pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL
    )
