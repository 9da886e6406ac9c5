"""What Celery's own state of tasks, and so Flower, makes of the events of each way in which a job can end."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from itertools import count, product
from typing import Any

import pytest
from celery.events.state import State
from celery.exceptions import Reject, WorkerLostError
from celery.worker import state
from tests.support.batching.fake_consumer import FakeConsumer

from rollbook_shared.errors import Unavailable
from rollbook_shared.job_states import DeadLetterCode, JobState, StandingJob
from rollbook_worker.celery_ext.job_failures import DeadLettered, JobFailed, JobRejected
from rollbook_worker.celery_ext.task_events import NO_VALID_ITEM, ShownTask, end_events
from rollbook_worker.store import Outcome
from rollbook_worker.tasks import _reported

APPLIED = StandingJob(kind="identify", state=JobState.APPLIED)
REJECTED = JobRejected(NO_VALID_ITEM, job_id="job-1")


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    yield
    state.reset_state()


def shown(events: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Celery's state of the tasks that these events are about."""
    seen, numbers = State(), count(1)
    for type_, fields in events:
        now = next(numbers)
        common = {"hostname": "worker@stage", "pid": 1, "utcoffset": 0, "clock": now, "timestamp": now}
        seen.event({"type": type_, "local_received": now, **common, **fields})
    return dict(seen.tasks.items())


def events_of(end: str | JobFailed, summary: str = "(first)") -> list[tuple[str, dict[str, Any]]]:
    """All events of one delivery of `job-1`."""
    common = {"uuid": "job-1"}
    task = ShownTask("job-1", "rollbook.identify", summary)
    ends = end_events(task, end, started=2.0, runtime=1.0)
    return [
        ("task-received", {**common, "name": task.name, "args": task.args, "kwargs": "{}", "retries": 0}),
        ("task-started", common),
        *((event.type, {"uuid": event.task_id, **event.fields}) for event in ends),
    ]


def reused(key: str, standing: StandingJob | None = APPLIED) -> DeadLettered:
    return DeadLettered("id_reused", job_id="job-1", key=key, standing=standing)


ENDS = [
    ("applied", "SUCCESS", "'applied'", None),
    ("duplicate", "SUCCESS", "'duplicate'", None),
    ("deferred", "DEFERRED", "'deferred'", None),
    ("cancelled", "CANCELLED", "'cancelled'", None),
    (REJECTED, "FAILURE", "rollbook jobs get job-1", "JobRejected('every user in it is rejected')"),
    *(
        (DeadLettered(code, job_id="job-1"), "FAILURE", "rollbook jobs show job-1", f"DeadLettered('{code}')")
        for code in (member.value for member in DeadLetterCode)
    ),
]


@pytest.mark.parametrize(("end", "state", "result", "exception"), ENDS)
def test_a_job_is_shown_as_it_ended(end: str | JobFailed, state: str, result: str, exception: str | None) -> None:
    (task,) = shown(events_of(end)).values()

    assert (task.uuid, task.state, task.result, task.exception) == ("job-1", state, result, exception)
    assert (task.name, task.args, task.runtime) == ("rollbook.identify", "(first)", 1.0)


@pytest.mark.parametrize(("end", "state", "result", "exception"), ENDS)
def test_a_job_that_was_retried_is_shown_as_it_ended(
    end: str | JobFailed, state: str, result: str, exception: str | None
) -> None:
    received, started, *ends = events_of(end)
    retried = ("task-retried", {"uuid": "job-1", "exception": "Unavailable('away')", "traceback": "...", "retries": 1})

    between = shown([received, started, retried])["job-1"]
    (task,) = shown([received, started, retried, started, *ends]).values()

    assert (between.state, between.exception) == ("RETRY", "Unavailable('away')")
    assert (task.state, task.result, task.exception) == (state, result, exception)
    assert (task.retries, task.traceback) == (1, None)


def test_a_dead_letter_under_the_id_of_a_job_is_a_task_of_its_own() -> None:
    tasks = shown([*events_of("applied"), *events_of(reused("0f"), "(second)")])

    job, dead_letter = tasks.pop("job-1"), tasks.pop("job-1~0f")
    assert tasks == {}
    assert (job.state, job.result, job.exception, job.name) == ("SUCCESS", "'applied'", None, "rollbook.identify")
    assert (dead_letter.state, dead_letter.exception) == ("FAILURE", "DeadLettered('id_reused')")
    assert dead_letter.result == "rollbook jobs show job-1 --key 0f"
    assert (dead_letter.name, dead_letter.args, dead_letter.received) == ("rollbook.identify", "(second)", 2.0)


def test_the_row_of_a_job_does_not_keep_the_summary_of_another_job() -> None:
    tasks = shown([*events_of("applied"), *events_of(reused("0f"), "(second)")])

    assert tasks["job-1"].args == "another job was sent under this id: job-1~0f"


DELIVERIES: dict[str, str | JobFailed] = {
    "again": "duplicate",
    "reused": reused("0f"),
    "reused otherwise": reused("1e"),
    "malformed": DeadLettered("malformed", job_id="job-1", key="2d", standing=APPLIED),
}


@pytest.mark.parametrize("missed", [0, 1], ids=["from the start", "from the second delivery on"])
def test_whatever_else_comes_under_its_id_a_job_stays_applied_and_each_dead_letter_red(missed: int) -> None:
    """In any order, and also for a Flower that was started later."""
    retried = ("task-retried", {"uuid": "job-1", "exception": "Unavailable('away')", "retries": 1})
    for names in product(DELIVERIES, repeat=3):
        deliveries = [events_of("applied"), *(events_of(DELIVERIES[name], f"({name})") for name in names)]
        deliveries[1].insert(2, retried)
        tasks = shown(event for delivery in deliveries[missed:] for event in delivery)

        job = tasks.pop("job-1")
        assert (job.state, job.exception) == ("SUCCESS", None), names
        assert job.result in ("'applied'", "'duplicate'"), names
        keys = {end.key: repr(end) for name in names if isinstance(end := DELIVERIES[name], DeadLettered)}
        assert {id_: (task.state, task.exception) for id_, task in tasks.items()} == {
            f"job-1~{key}": ("FAILURE", exception) for key, exception in keys.items()
        }, names


@pytest.mark.parametrize(
    ("state", "expected"),
    [("applied", "SUCCESS"), ("rejected", "FAILURE"), ("deferred", "DEFERRED"), ("cancelled", "CANCELLED")],
)
def test_a_job_whose_id_is_reused_keeps_its_state(state: str, expected: str) -> None:
    end: str | JobFailed = REJECTED if state == "rejected" else state
    standing = StandingJob(kind="bulk_identify", state=JobState(state))

    for events in ([*events_of(end), *events_of(reused("0f", standing))], events_of(reused("0f", standing))):
        tasks = shown(events)
        assert (tasks["job-1"].state, tasks["job-1"].name) == (expected, "rollbook.bulk_identify")
        assert tasks["job-1~0f"].state == "FAILURE"


def test_a_dead_letter_that_is_applied_after_a_fix_is_shown_without_its_error() -> None:
    (task,) = shown([*events_of(DeadLettered("invalid", job_id="job-1")), *events_of("applied")]).values()

    assert (task.state, task.result, task.exception) == ("SUCCESS", "'applied'", None)


def test_a_deferred_job_that_is_applied_when_it_comes_again_is_green() -> None:
    (task,) = shown([*events_of("deferred"), *events_of("deferred"), *events_of("duplicate")]).values()

    assert task.state == "SUCCESS"


def test_a_message_that_named_another_task_id_than_the_job_has_one_row() -> None:
    (event,) = end_events(ShownTask("f3", "rollbook.identify", "(a)"), reused("0f"), started=2.0, runtime=1.0)

    assert (event.type, event.task_id) == ("task-failed", "f3")
    assert event.fields["result"] == "rollbook jobs show job-1"


@pytest.mark.parametrize("end", [REJECTED, reused("0f"), DeadLettered("malformed")])
def test_a_failure_survives_the_way_from_a_process_of_the_pool(end: JobFailed) -> None:
    copy = pickle.loads(pickle.dumps(end))

    assert (type(copy), copy.args, vars(copy)) == (type(end), end.args, vars(end))


class TestReports:
    """What monitoring is shown of an outcome of the store."""

    @pytest.mark.parametrize("state", ["applied", "deferred"])
    def test_of_a_job(self, state: str) -> None:
        assert _reported(outcome(state)) == state

    def test_of_a_rejected_job(self) -> None:
        assert repr(_reported(outcome("rejected"))) == "JobRejected('every user in it is rejected')"

    @pytest.mark.parametrize(
        ("state", "reported"),
        [
            ("applied", "'duplicate'"),
            ("rejected", "JobRejected('every user in it is rejected')"),
            ("deferred", "'deferred'"),
            ("cancelled", "'cancelled'"),
        ],
    )
    def test_of_a_duplicate_what_became_of_the_job(self, state: str, reported: str) -> None:
        standing = StandingJob(kind="identify", state=JobState(state))

        assert repr(_reported(outcome("duplicate", standing=standing))) == reported

    def test_of_a_dead_letter_which_it_is(self) -> None:
        found = _reported(outcome("dead", code="id_reused", key="0f", standing=APPLIED))

        assert isinstance(found, DeadLettered)
        assert (found.args, found.job_id, found.key, found.standing) == (("id_reused",), "job-1", "0f", APPLIED)


def outcome(state: str, **fields: Any) -> Outcome:
    return Outcome(job_id="job-1", kind="identify", state=JobState(state), **fields)


class TestRequest:
    """Jobs that run individually, through Celery's own request."""

    @pytest.fixture
    def consumer(self) -> FakeConsumer:
        return FakeConsumer()

    def request(self, consumer: FakeConsumer, **headers: Any) -> Any:
        consumer.receive("one", id="job-1", retries=1, **headers)
        return consumer.individual[-1]

    @pytest.mark.parametrize("end", [end for end in ENDS if isinstance(end[0], str)])
    def test_an_end_is_shown_as_in_a_batch(self, consumer: FakeConsumer, end: tuple[str, str, str, None]) -> None:
        self.request(consumer).on_success((False, repr(end[0]), 1.0))

        task = shown(consumer.events)["job-1"]
        assert (task.state, task.result, task.exception) == end[1:]

    def test_a_failure_is_shown_as_in_a_batch(self, consumer: FakeConsumer) -> None:
        fail(self.request(consumer), reused("0f"))

        tasks = shown(consumer.events)
        assert (tasks["job-1"].state, tasks["job-1~0f"].state) == ("SUCCESS", "FAILURE")
        assert consumer.acknowledged

    @pytest.mark.parametrize(
        "error", [WorkerLostError("signal 9"), Reject(Unavailable("Postgres is away"), requeue=True)], ids=repr
    )
    def test_a_job_that_others_will_try_is_retried_and_not_failed(
        self, consumer: FakeConsumer, error: Exception
    ) -> None:
        fail(self.request(consumer), error)

        task = shown(consumer.events)["job-1"]
        assert task.state == "RETRY"
        assert task.exception in ("WorkerLostError('signal 9')", "Unavailable('Postgres is away')")
        assert "task-failed" not in consumer.events_of("job-1")

    def test_a_job_that_was_killed_at_its_time_limit_is_retried_and_not_failed(self, consumer: FakeConsumer) -> None:
        self.request(consumer).on_timeout(soft=False, timeout=60)

        task = shown(consumer.events)["job-1"]
        assert (task.state, task.exception) == ("RETRY", "TimeLimitExceeded(60)")
        assert "task-failed" not in consumer.events_of("job-1")

    def test_a_bug_is_shown_without_its_text(self, consumer: FakeConsumer) -> None:
        fail(self.request(consumer), RuntimeError("ann@example.com"))

        task = shown(consumer.events)["job-1"]
        assert (task.state, task.exception, task.traceback) == ("FAILURE", "RuntimeError()", None)
        assert "ann@example.com" not in repr(consumer.events)

    def test_a_job_that_waits_for_its_next_try_is_retried_and_not_received(self, consumer: FakeConsumer) -> None:
        self.request(consumer, eta="2026-01-01T00:00:00+00:00")

        task = shown(consumer.events)["job-1"]
        assert (task.state, task.retries) == ("RETRY", 1)


def fail(request: Any, error: Exception) -> None:
    from billiard.einfo import ExceptionInfo

    try:
        raise error
    except type(error):
        request.on_failure(ExceptionInfo())
