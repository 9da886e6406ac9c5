"""The acknowledgement, the events and the state of each message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from celery.worker import state
from tests.support.batching.fake_consumer import IDENTIFY, FakeConsumer

from rollbook_worker.app import app
from rollbook_worker.celery_ext.batching.strategy import batching_strategy
from rollbook_worker.celery_ext.job_failures import DeadLettered


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    yield
    state.reset_state()


@pytest.fixture(params=[False, True], ids=["any message", "a message of ours"])
def consumer(request: pytest.FixtureRequest) -> FakeConsumer:
    return FakeConsumer(usual=request.param)


def test_messages_of_one_read_make_one_batch(consumer: FakeConsumer) -> None:
    consumer.receive("one", "two", "three")

    assert [batch.messages for batch in consumer.batches] == [["one", "two", "three"]]


def test_no_job_is_acknowledged_before_the_store_has_answered(consumer: FakeConsumer) -> None:
    ids = consumer.receive("one", "two")
    consumer.batches[0].begin()

    assert consumer.acknowledged == []
    consumer.batches[0].end()
    assert consumer.acknowledged == ids


def test_each_job_sends_the_events_of_stock_celery(consumer: FakeConsumer) -> None:
    one, two = consumer.receive("one", "two")
    consumer.batches[0].begin()
    consumer.batches[0].end(["applied", "duplicate"])

    assert consumer.events_of(one) == consumer.events_of(two) == ["task-received", "task-started", "task-succeeded"]
    results = {fields["uuid"]: fields["result"] for type_, fields in consumer.events if type_ == "task-succeeded"}
    assert results == {one: "'applied'", two: "'duplicate'"}
    assert all(0 <= fields["runtime"] < 60 for type_, fields in consumer.events if type_ == "task-succeeded")


def test_a_batch_that_begins_is_not_disturbed_and_shown_a_little_later(consumer: FakeConsumer) -> None:
    (one,) = consumer.receive("one")
    consumer.let_time_pass()  # it waits for a thread
    consumer.batches[0].begin()

    assert consumer.events_of(one) == ["task-received"]
    consumer.let_time_pass()
    assert consumer.events_of(one) == ["task-received", "task-started"]
    consumer.let_time_pass()
    assert {request.id for request in state.active_requests} == {one}
    consumer.batches[0].end()
    consumer.let_time_pass()
    assert consumer.events_of(one) == ["task-received", "task-started", "task-succeeded"]
    assert not consumer.later


def test_a_dead_letter_is_acknowledged_and_reported_as_a_failure(consumer: FakeConsumer) -> None:
    one, two = consumer.receive("one", "two")
    consumer.batches[0].begin()
    consumer.batches[0].end(["applied", DeadLettered("malformed")])

    assert consumer.acknowledged == [one, two]
    assert consumer.events_of(two) == ["task-received", "task-started", "task-failed"]
    (failed,) = [fields for type_, fields in consumer.events if type_ == "task-failed"]
    assert (failed["uuid"], failed["exception"]) == (two, "DeadLettered('malformed')")


def test_inspect_shows_pending_jobs_as_reserved_and_running_ones_as_active(consumer: FakeConsumer) -> None:
    (one,) = consumer.receive("one")
    (two,) = consumer.receive("two")
    consumer.batches[0].begin()
    consumer.let_time_pass()

    assert not state.requests  # most jobs are done by then
    consumer.let_time_pass()
    assert {request.id for request in state.active_requests} == {one}
    assert {request.id for request in state.reserved_requests} == {one, two}
    consumer.batches[0].end()
    consumer.batches[1].begin()
    consumer.batches[1].end()
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
def test_a_message_that_a_batch_cannot_honour_runs_individually(
    consumer: FakeConsumer, headers: dict[str, object]
) -> None:
    (id_,) = consumer.receive("one", **headers)

    assert consumer.batches == []
    assert [request.id for request in consumer.individual] == [id_]


def test_a_job_with_callbacks_runs_individually(consumer: FakeConsumer) -> None:
    id_ = consumer.receive_message([["one"], {}, {"callbacks": [{"task": "next"}]}])
    consumer.loop.run()

    assert [request.id for request in consumer.individual] == [id_]


def test_a_large_number_beside_a_job_stays_what_it_is(consumer: FakeConsumer) -> None:
    consumer.receive_message([["one"], {"number": (1 << 70) + 1}, {}])
    consumer.loop.run()

    assert [batch.messages for batch in consumer.batches] == [[(["one"], {"number": (1 << 70) + 1})]]


def test_a_rate_limit_is_honoured(consumer: FakeConsumer) -> None:
    consumer.consumer.task_buckets[IDENTIFY] = SimpleNamespace()

    (id_,) = consumer.receive("one")

    assert consumer.batches == []
    assert [request.id for request in consumer.individual] == [id_]


def test_a_job_revoked_while_pending_is_not_applied(consumer: FakeConsumer) -> None:
    consumer.receive("first")
    one, two = consumer.receive("one", "two")
    state.revoked.add(one)

    consumer.batches[0].end()

    assert consumer.batches[1].messages == ["two"]
    assert one in consumer.acknowledged
    assert two not in consumer.acknowledged
    assert consumer.events_of(one) == ["task-received", "task-revoked"]


def test_a_job_that_expires_while_pending_is_not_applied(consumer: FakeConsumer) -> None:
    consumer.receive("first")
    expires = datetime.now(UTC) + timedelta(milliseconds=1)
    (late,) = consumer.receive("late", expires=expires.isoformat())
    while datetime.now(UTC) <= expires:
        pass

    consumer.batches[0].end()

    assert len(consumer.batches) == 1
    assert consumer.events_of(late) == ["task-received", "task-revoked"]
    consumer.receive("next")
    assert consumer.batches[1].messages == ["next"]


@pytest.mark.parametrize("how", ["fail", "lose"])
def test_jobs_of_a_failed_batch_run_individually(consumer: FakeConsumer, how: str) -> None:
    ids = consumer.receive("one", "two")
    consumer.batches[0].begin()

    getattr(consumer.batches[0], how)()

    assert [request.id for request in consumer.individual] == ids
    assert consumer.acknowledged == []
    assert not state.active_requests


def test_jobs_are_held_and_shown_as_retried_during_an_outage(consumer: FakeConsumer) -> None:
    one, two = consumer.receive("one", "two")
    consumer.batches[0].begin()
    consumer.batches[0].end(["applied"], "the database is not available")

    assert consumer.acknowledged == [one]
    assert consumer.events_of(two) == ["task-received", "task-started", "task-retried"]
    assert {fields["retries"] for type_, fields in consumer.events if type_ == "task-retried"} == {1}
    assert consumer.individual == []
    consumer.let_time_pass(2)
    assert {request.id for request in state.reserved_requests} == {two}
    assert not state.active_requests
    consumer.batches[1].begin()
    consumer.batches[1].end()
    assert consumer.acknowledged == [one, two]
    assert consumer.events_of(two)[-2:] == ["task-started", "task-succeeded"]


def test_jobs_that_ran_out_of_time_are_next(consumer: FakeConsumer) -> None:
    one, two = consumer.receive("one", "two")
    consumer.receive("three")
    consumer.batches[0].begin()
    consumer.batches[0].end(["applied"])

    assert consumer.acknowledged == [one]
    assert consumer.batches[1].messages == ["two", "three"]
    consumer.let_time_pass(2)
    assert {request.id for request in state.reserved_requests} >= {two}
    assert not state.active_requests


def test_jobs_held_during_an_outage_do_not_trip_the_watchdog(consumer: FakeConsumer) -> None:
    one, two = consumer.receive("one", "two")
    (three,) = consumer.receive("three")

    consumer.batches[0].begin()
    consumer.batches[0].end([], "the database is not available")

    assert consumer.extended == [one, two, three]


def test_after_a_reconnection_pending_jobs_are_dropped_and_applied_ones_acknowledged(consumer: FakeConsumer) -> None:
    (applied,) = consumer.receive("applied")
    consumer.receive("waiting")
    consumer.batches[0].begin()

    consumer.reconnect()
    consumer.batches[0].end()

    assert consumer.acknowledged == [applied]
    assert len(consumer.batches) == 1
    consumer.receive("new")
    assert consumer.batches[1].messages == ["new"]


def test_after_a_reconnection_nothing_waits_for_batches_of_which_nothing_is_reported(consumer: FakeConsumer) -> None:
    consumer.receive("one")
    consumer.let_time_pass()
    assert consumer.later

    consumer.reconnect()
    consumer.let_time_pass()
    assert not consumer.later


def test_what_is_shown_is_not_looked_at_again(consumer: FakeConsumer) -> None:
    consumer.receive("one")
    consumer.batches[0].begin()
    consumer.receive("two")
    consumer.let_time_pass(3)

    assert not consumer.later


def test_after_a_reconnection_a_failed_batch_is_left_to_the_broker(consumer: FakeConsumer) -> None:
    consumer.receive("one")

    consumer.reconnect()
    consumer.batches[0].lose()

    assert consumer.individual == []
    assert consumer.acknowledged == []


def test_at_shutdown_running_jobs_are_acknowledged_and_pending_ones_released(consumer: FakeConsumer) -> None:
    (running,) = consumer.receive("running")
    consumer.receive("waiting")

    consumer.shut_down()
    consumer.batches[0].end()

    assert consumer.acknowledged == [running]
    assert len(consumer.batches) == 1


@pytest.mark.parametrize("payload", [7, "text", None, [], [1, 2, 3], [["one"], {}], [["one"], {}, 7], {"a": 1}])
def test_content_that_is_no_job_is_left_to_the_store(consumer: FakeConsumer, payload: object) -> None:
    consumer.receive_message(payload)
    consumer.loop.run()

    assert [batch.messages for batch in consumer.batches] == [[payload]]


def test_a_terminated_job_is_not_reported_as_succeeded(consumer: FakeConsumer) -> None:
    one, two = consumer.receive("one", "two")
    consumer.batches[0].begin()
    consumer.let_time_pass(3)
    state.requests[one]._announce_revoked("terminated", True, 15, False)

    consumer.batches[0].lose()

    assert [request.id for request in consumer.individual] == [two]
    assert consumer.events_of(one)[-1] == "task-revoked"


def test_a_batch_size_of_one_uses_the_strategy_of_celery(
    consumer: FakeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.conf, "rollbook_batch", 1)

    handle = batching_strategy(app.tasks[IDENTIFY], app, consumer.consumer)

    assert handle.__module__ == "celery.worker.strategy"
