"""What becomes of each message: its acknowledgement, its events, its state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from celery.worker import state
from tests.support.batching.fake_consumer import IDENTIFY, Stage

from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching.strategy import batching_strategy
from rollbook_worker.celery_ext.request import DeadLettered


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    yield
    state.reset_state()


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_messages_of_one_read_make_one_batch(stage: Stage) -> None:
    stage.receive("one", "two", "three")

    assert [batch.messages for batch in stage.batches] == [["one", "two", "three"]]


def test_no_job_is_acknowledged_before_the_store_has_answered(stage: Stage) -> None:
    ids = stage.receive("one", "two")
    stage.batches[0].begin()

    assert stage.acknowledged == []
    stage.batches[0].end()
    assert stage.acknowledged == ids


def test_each_job_sends_the_events_of_stock_celery(stage: Stage) -> None:
    one, two = stage.receive("one", "two")
    stage.batches[0].begin()
    stage.batches[0].end(["applied", "duplicate"])

    assert stage.events_of(one) == stage.events_of(two) == ["task-received", "task-started", "task-succeeded"]
    results = {fields["uuid"]: fields["result"] for type_, fields in stage.events if type_ == "task-succeeded"}
    assert results == {one: "'applied'", two: "'duplicate'"}
    assert all(0 <= fields["runtime"] < 60 for type_, fields in stage.events if type_ == "task-succeeded")


def test_a_dead_letter_is_acknowledged_and_reported_as_a_failure(stage: Stage) -> None:
    one, two = stage.receive("one", "two")
    stage.batches[0].begin()
    stage.batches[0].end(["applied", DeadLettered("malformed")])

    assert stage.acknowledged == [one, two]
    assert stage.events_of(two) == ["task-received", "task-started", "task-failed"]
    (failed,) = [fields for type_, fields in stage.events if type_ == "task-failed"]
    assert (failed["uuid"], failed["exception"]) == (two, "DeadLettered('malformed')")


def test_inspect_shows_pending_jobs_as_reserved_and_running_ones_as_active(stage: Stage) -> None:
    (one,) = stage.receive("one")
    (two,) = stage.receive("two")
    stage.batches[0].begin()

    assert {request.id for request in state.active_requests} == {one}
    assert {request.id for request in state.reserved_requests} == {one, two}
    stage.batches[0].end()
    stage.batches[1].begin()
    stage.batches[1].end()
    assert not state.active_requests
    assert not state.reserved_requests
    assert not state.requests


@pytest.mark.parametrize(
    "headers",
    [
        {"eta": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        {"retries": 1},
        {"timelimit": [None, 5]},
    ],
)
def test_a_message_that_a_batch_cannot_honour_runs_individually(stage: Stage, headers: dict[str, object]) -> None:
    (id_,) = stage.receive("one", **headers)

    assert stage.batches == []
    assert [request.id for request in stage.individual] == [id_]


def test_a_job_with_callbacks_runs_individually(stage: Stage) -> None:
    id_ = stage.receive_message([["one"], {}, {"callbacks": [{"task": "next"}]}])
    stage.loop.run()

    assert [request.id for request in stage.individual] == [id_]


def test_a_rate_limit_is_honoured(stage: Stage) -> None:
    stage.consumer.task_buckets[IDENTIFY] = SimpleNamespace()

    (id_,) = stage.receive("one")

    assert stage.batches == []
    assert [request.id for request in stage.individual] == [id_]


def test_a_job_revoked_while_pending_is_not_applied(stage: Stage) -> None:
    stage.receive("first")
    one, two = stage.receive("one", "two")
    state.revoked.add(one)

    stage.batches[0].end()

    assert stage.batches[1].messages == ["two"]
    assert one in stage.acknowledged
    assert two not in stage.acknowledged
    assert stage.events_of(one) == ["task-received", "task-revoked"]


def test_a_job_that_expires_while_pending_is_not_applied(stage: Stage) -> None:
    stage.receive("first")
    (late,) = stage.receive("late", expires=(datetime.now(UTC) + timedelta(milliseconds=1)).isoformat())
    while datetime.now(UTC) < state.requests[late].expires:
        pass

    stage.batches[0].end()

    assert len(stage.batches) == 1
    assert stage.events_of(late) == ["task-received", "task-revoked"]
    stage.receive("next")
    assert stage.batches[1].messages == ["next"]


@pytest.mark.parametrize("how", ["fail", "lose"])
def test_jobs_of_a_failed_batch_run_individually(stage: Stage, how: str) -> None:
    ids = stage.receive("one", "two")
    stage.batches[0].begin()

    getattr(stage.batches[0], how)()

    assert [request.id for request in stage.individual] == ids
    assert stage.acknowledged == []
    assert not state.active_requests


def test_jobs_are_held_and_shown_as_retried_during_an_outage(stage: Stage) -> None:
    one, two = stage.receive("one", "two")
    stage.batches[0].begin()
    stage.batches[0].end(["applied"], "the database is not available")

    assert stage.acknowledged == [one]
    assert stage.events_of(two) == ["task-received", "task-started", "task-retried"]
    assert {fields["retries"] for type_, fields in stage.events if type_ == "task-retried"} == {1}
    assert stage.individual == []
    assert {request.id for request in state.reserved_requests} == {two}
    assert not state.active_requests
    stage.end_pause()
    stage.batches[1].begin()
    stage.batches[1].end()
    assert stage.acknowledged == [one, two]
    assert stage.events_of(two)[-2:] == ["task-started", "task-succeeded"]


def test_jobs_that_ran_out_of_time_are_next(stage: Stage) -> None:
    one, two = stage.receive("one", "two")
    stage.receive("three")
    stage.batches[0].begin()
    stage.batches[0].end(["applied"])

    assert stage.acknowledged == [one]
    assert stage.batches[1].messages == ["two", "three"]
    assert {request.id for request in state.reserved_requests} >= {two}
    assert not state.active_requests


def test_jobs_held_during_an_outage_do_not_trip_the_watchdog(stage: Stage) -> None:
    one, two = stage.receive("one", "two")
    (three,) = stage.receive("three")

    stage.batches[0].begin()
    stage.batches[0].end([], "the database is not available")

    assert stage.extended == [one, two, three]


def test_after_a_reconnection_pending_jobs_are_dropped_and_applied_ones_acknowledged(stage: Stage) -> None:
    (applied,) = stage.receive("applied")
    stage.receive("waiting")
    stage.batches[0].begin()

    stage.reconnect()
    stage.batches[0].end()

    assert stage.acknowledged == [applied]
    assert len(stage.batches) == 1
    stage.receive("new")
    assert stage.batches[1].messages == ["new"]


def test_after_a_reconnection_a_failed_batch_is_left_to_the_broker(stage: Stage) -> None:
    stage.receive("one")

    stage.reconnect()
    stage.batches[0].lose()

    assert stage.individual == []
    assert stage.acknowledged == []


def test_at_shutdown_running_jobs_are_acknowledged_and_pending_ones_released(stage: Stage) -> None:
    (running,) = stage.receive("running")
    stage.receive("waiting")

    stage.shut_down()
    stage.batches[0].end()

    assert stage.acknowledged == [running]
    assert len(stage.batches) == 1


@pytest.mark.parametrize("payload", [7, "text", None, [], [1, 2, 3], [["one"], {}], [["one"], {}, 7], {"a": 1}])
def test_content_that_is_no_job_is_left_to_the_store(stage: Stage, payload: object) -> None:
    stage.receive_message(payload)
    stage.loop.run()

    assert [batch.messages for batch in stage.batches] == [[payload]]


def test_a_terminated_job_is_not_reported_as_succeeded(stage: Stage) -> None:
    one, two = stage.receive("one", "two")
    stage.batches[0].begin()
    state.requests[one]._announce_revoked("terminated", True, 15, False)

    stage.batches[0].lose()

    assert [request.id for request in stage.individual] == [two]
    assert stage.events_of(one)[-1] == "task-revoked"


def test_a_batch_size_of_one_uses_the_strategy_of_celery(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.conf, "rollbook_batch", 1)

    handle = batching_strategy(app.tasks[IDENTIFY], app, stage.consumer)

    assert handle.__module__ == "celery.worker.strategy"
