"""Steps of several transactions in a chosen order, which locks enforce and not time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
from tests.support.stores import OnPostgres
from tests.support.waits import wait_until


def start_while_blocked(store: OnPostgres, lock: str, *steps: Callable[[], object]) -> None:
    """Begin each step once the one before waits for a lock, or is done, while another transaction holds what the
    statement `lock` locks; then roll that back, and let the steps end.
    """
    begun: list[Future[object]] = []
    with ThreadPoolExecutor(len(steps)) as threads, psycopg.connect(store.url) as other:
        other.execute(lock.encode())
        for step in steps:
            begun.append(threads.submit(step))
            wait_until(
                lambda: _waiting(store) + sum(future.done() for future in begun) == len(begun),
                what="a step that waits",
            )
        other.rollback()
    for future in begun:
        future.result()


def _waiting(store: OnPostgres) -> int:
    """How many wait for a lock."""
    query = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return store.connection.execute(query).rowcount
