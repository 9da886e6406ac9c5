"""How a pool applies a batch: its transactions, its results, and what task signals show."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from celery import signals
from tests.support.builders import day, identify, trigger
from tests.support.memory_store import MemoryStore
from tests.support.waits import DEADLINE_SECONDS

from rollbook_shared.errors import Unavailable
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import BulkDelete
from rollbook_worker import tasks
from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching import BATCH_TASK, Batch, BatchResult
from rollbook_worker.celery_ext.batching.batch import execute
from rollbook_worker.store import Outcome, ReceivedJob

SECRET = "ann@example.com"


class WatchedStore(MemoryStore):
    """Notes how many jobs each transaction had, and fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[int] = []
        self.error: Exception | None = None
        self.good_for = 1_000

    def apply(self, arrivals: Sequence[ReceivedJob], *, now: int | None = None) -> list[Outcome]:
        if self.error and len(self.transactions) >= self.good_for:
            raise self.error
        self.transactions.append(len(arrivals))
        return super().apply(arrivals, now=now or time.time_ns() // 1_000)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> WatchedStore:
    store = WatchedStore()
    monkeypatch.setattr(tasks, "store", lambda: store)
    monkeypatch.setattr(tasks, "MAX_BATCH_SECONDS", DEADLINE_SECONDS)
    return store


@pytest.fixture
def seen() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What `task_prerun` and `task_postrun` show."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def before(**signalled: Any) -> None:
        seen.append(("before", signalled))

    def after(**signalled: Any) -> None:
        seen.append(("after", signalled))

    signals.task_prerun.connect(before)
    signals.task_postrun.connect(after)
    app.tasks[BATCH_TASK].__trace__ = None  # it looks for who watches when it is built
    yield seen
    signals.task_prerun.disconnect(before)
    signals.task_postrun.disconnect(after)
    app.tasks[BATCH_TASK].__trace__ = None


def run(*messages: object) -> BatchResult | None:
    return execute(BATCH_TASK, "batch-1", Batch([*messages]), "worker@here")


def job(number: int) -> str:
    return encode(identify(f"user-{number}", at=1, job=f"job-{number}"))


def test_a_batch_is_one_transaction_with_a_result_for_each_job(store: WatchedStore) -> None:
    result = run(job(1), job(2), job(1), "not a job")

    assert result is not None
    assert [repr(outcome) for outcome in result.outcomes] == [
        "'applied'",
        "'applied'",
        "'duplicate'",
        "DeadLettered('malformed')",
    ]
    assert store.transactions == [4]


def test_a_transaction_has_a_thousand_users_at_most_or_one_larger_job(store: WatchedStore) -> None:
    def deletes(name: str, users: int) -> str:
        return encode(
            BulkDelete(id=name, occurred_at=day(1), user_ids=tuple(f"{name}-{number}" for number in range(users)))
        )

    run(job(1), deletes("a", 600), deletes("b", 399), deletes("c", 1), deletes("d", 1_500), job(2))

    assert store.transactions == [3, 1, 1, 1]


def test_rule_44_a_transaction_has_ten_thousand_messages_at_most(store: WatchedStore) -> None:
    channels = tuple(f"c{number}" for number in range(100))

    def triggers(name: str, messages: int) -> str:
        return encode(trigger(name, [f"{name}-{n}" for n in range(messages // 100)], at=1, channels=channels))

    run(triggers("a", 5_000), triggers("b", 5_000), triggers("c", 100), triggers("d", 10_000))

    assert store.transactions == [2, 1, 1]


def test_jobs_before_an_outage_are_finished(store: WatchedStore) -> None:
    store.error, store.good_for = Unavailable("the database is not available"), 1
    large = encode(BulkDelete(id="large", occurred_at=day(1), user_ids=tuple(f"u{number}" for number in range(1_000))))

    result = run(job(1), large, job(2))

    assert result is not None
    assert result.outcomes == ["applied"]
    assert result.unavailable == "the database is not available"


def test_a_batch_starts_no_transaction_after_its_time(store: WatchedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_BATCH_SECONDS", 0)
    large = encode(BulkDelete(id="large", occurred_at=day(1), user_ids=tuple(f"u{number}" for number in range(1_000))))

    result = run(job(1), large, job(2))

    assert result is not None
    assert result.outcomes == ["applied"]
    assert result.unavailable is None


def test_a_failed_batch_returns_none_and_does_not_raise(store: WatchedStore) -> None:
    store.error, store.good_for = RuntimeError("a bug"), 0

    assert run(job(1), job(2)) is None


@pytest.mark.usefixtures("store")
def test_task_signals_show_a_batch_as_one_task_with_its_size(seen: list[tuple[str, dict[str, Any]]]) -> None:
    run(job(1), job(2), job(3))

    assert [when for when, _ in seen] == ["before", "after"]
    assert {signalled["task"].name for _, signalled in seen} == {BATCH_TASK}
    assert {signalled["task_id"] for _, signalled in seen} == {"batch-1"}
    assert [len(signalled["args"][0]) for _, signalled in seen] == [3, 3]
    assert seen[1][1]["state"] == "SUCCESS"


def test_task_signals_show_a_failed_batch(store: WatchedStore, seen: list[tuple[str, dict[str, Any]]]) -> None:
    store.error, store.good_for = RuntimeError("a bug"), 0

    run(job(1))

    assert seen[1][1]["state"] == "FAILURE"


def test_a_batch_shows_no_content_of_its_jobs(
    store: WatchedStore, seen: list[tuple[str, dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    text = encode(identify("ann", at=1, email=SECRET))

    result = run(text, SECRET)
    store.error, store.good_for = RuntimeError("a bug"), 0
    run(text)

    assert result is not None
    assert SECRET not in repr(seen) + caplog.text + repr(result)
    assert "<2 jobs>" in repr(seen)
