"""The pools of Celery that a worker can run with.

With gevent and eventlet Celery has no event loop. Then a worker makes no batches, and nothing keeps its signal handlers
out of the hand-over of a job to the pool: a worker that was asked to stop under load lost jobs and did not end.
"""

from __future__ import annotations

from typing import Any, Final

from celery.concurrency import get_implementation
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool

from rollbook_shared.errors import NotConfigured

_SUPPORTED: Final = (ThreadPool, PreforkPool, SoloPool)


def check_pool(pool: Any) -> None:
    """Check that a worker can run with this pool, a class or Celery's name for it.

    Raises:
        NotConfigured: it cannot.
    """
    found = get_implementation(pool)
    if not issubclass(found, _SUPPORTED):
        name = pool if isinstance(pool, str) else found.__module__.removeprefix("celery.concurrency.")
        raise NotConfigured(f"a worker cannot run with the pool {name}; start it with --pool threads, prefork or solo")
