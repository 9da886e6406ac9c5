"""A forked child reads over its own connections, and leaves those of the parent alone."""

from __future__ import annotations

import multiprocessing

import pytest
from tests.support.producer.applied_jobs import Applied


# a thread that runs a loop does not live on in a child; tests/producer/test_async_client.py forks an AsyncRollbook
@pytest.mark.parametrize("applied", ["Rollbook"], indirect=True)
def test_parent_and_children_read_at_the_same_time(applied: Applied) -> None:
    applied.rb.users.identify("u1", {"name": "Ann"})
    applied.now()
    assert applied.rb.users.get("u1").name == "Ann"
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_read_many, args=(applied,)) for _ in range(2)]

    for child in children:
        child.start()
    _read_many(applied)
    for child in children:
        child.join()

    assert [child.exitcode for child in children] == [0, 0]
    _read_many(applied)


def _read_many(applied: Applied) -> None:
    for _ in range(50):
        assert applied.rb.users.get("u1").name == "Ann"
