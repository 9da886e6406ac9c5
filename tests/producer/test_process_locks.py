"""Each process makes its locks when it first needs them, and threads that come at once share one."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.waits import DEADLINE_SECONDS

from rollbook import AsyncRollbook, Rollbook
from rollbook.at_fork import reset_after_fork
from rollbook.process_locks import ProcessLock, renew_locks
from rollbook.testing import RecordingPublisher


class Holder:
    lock = ProcessLock(lambda: threading.Lock())

    def drop_inherited_connections(self) -> None:
        renew_locks(self)


class Derived(Holder):
    pass


def test_a_lock_is_made_at_its_first_use_and_kept() -> None:
    holder, other = Holder(), Holder()
    assert vars(holder) == {}

    assert holder.lock is holder.lock
    assert holder.lock is not other.lock


def test_threads_that_come_at_once_get_the_same_lock() -> None:
    threads = 8
    start = threading.Barrier(threads)

    def use(holder: Holder) -> threading.Lock:
        start.wait(DEADLINE_SECONDS)
        return holder.lock

    with ThreadPoolExecutor(threads) as executor:
        for _ in range(50):
            holder = Holder()
            assert len({id(lock) for lock in executor.map(use, [holder] * threads)}) == 1


@pytest.mark.parametrize("kind", [Holder, Derived])
def test_a_child_does_not_wait_for_a_lock_that_its_parent_held(kind: type[Holder]) -> None:
    holder = kind()
    reset_after_fork(holder)

    with holder.lock:
        if (child := os.fork()) == 0:
            os._exit(0 if holder.lock.acquire(blocking=False) else 1)

        assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def made_locks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of the locks that are made from now on."""
    made: list[str] = []
    for name in ("Lock", "Condition", "BoundedSemaphore"):
        original = getattr(threading, name)

        def make(*arguments: object, _original: type = original) -> object:
            made.append(_original.__name__)
            return _original(*arguments)

        monkeypatch.setattr(threading, name, make)
    return made


def test_no_lock_of_an_async_client_is_made_before_its_first_call(made_locks: list[str]) -> None:
    rb = AsyncRollbook(broker_url="redis://127.0.0.1:1/0", database_url="postgresql://127.0.0.1:1/app")

    assert rb is not None
    assert made_locks == []


def test_no_lock_of_a_client_is_made_before_its_first_call(made_locks: list[str]) -> None:
    rb = Rollbook(broker_url="redis://127.0.0.1:1/0", database_url="postgresql://127.0.0.1:1/app")
    buffered = rb.with_publisher(RecordingPublisher()).buffered()

    assert made_locks == []

    buffered.users.identify("ann")
    buffered.close()
    assert made_locks != []
