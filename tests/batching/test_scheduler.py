"""Which jobs wait for which others, without Celery and without a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.batching.scheduler_harness import SchedulerHarness

from rollbook_worker.celery_ext.batching.scheduler import PROBE, PendingJob


def test_an_idle_worker_applies_a_job_at_once() -> None:
    harness = SchedulerHarness()

    harness.add("a")

    assert harness.turn() == ["a"]


def test_jobs_that_arrive_during_a_batch_make_the_next_one() -> None:
    harness = SchedulerHarness()
    harness.add("a")
    harness.turn()

    harness.add("b", "c", "d")
    assert harness.turn() == []
    harness.finish()

    assert harness.turn() == ["bcd"]


def test_each_slot_runs_a_batch() -> None:
    harness = SchedulerHarness(slots=2, max_jobs=2)

    harness.add("a", "b", "c", "d", "e")

    assert harness.turn() == ["ab", "cd"]


def test_a_batch_is_bounded_in_bytes_and_a_larger_job_runs_individually() -> None:
    harness = SchedulerHarness(slots=9, max_jobs=99, max_bytes=100)

    harness.add("a", "b", size=50)
    harness.add("c", size=51)
    harness.add("L", size=101)
    harness.add("d", size=1)

    assert harness.turn() == ["ab", "c", "L", "d"]


def test_a_redelivered_job_runs_individually() -> None:
    harness = SchedulerHarness(slots=9)

    harness.add("a")
    harness.add("x", isolated=True)
    harness.add("b", "c")

    assert harness.turn() == ["a", "x", "bc"]


def test_during_an_outage_all_jobs_stay_pending() -> None:
    harness = SchedulerHarness(slots=2)
    harness.add("a", "b", "c", "d", "e")
    harness.turn()

    harness.lose_store(0)
    harness.lose_store(1)
    harness.add("f")

    assert harness.turn() == []
    assert harness.individual == []
    assert len(harness.scheduler) == 6


def test_one_smaller_batch_at_a_time_probes_the_store_during_an_outage() -> None:
    harness = SchedulerHarness(slots=2, max_jobs=8)
    harness.add(*"abcdefgh")
    harness.turn()

    harness.lose_store()
    assert harness.let_time_pass() == ["abcd"]
    harness.lose_store()
    assert harness.let_time_pass() == ["ab"]
    harness.finish()

    assert harness.turn() == ["cdef", "gh"]


def test_delays_grow_up_to_a_short_limit() -> None:
    harness = SchedulerHarness()
    harness.add("a")
    harness.turn()

    for _ in range(50):
        harness.lose_store()
        harness.let_time_pass()

    assert harness.pauses[0] <= 0.5
    assert PROBE.longest / 2 <= harness.pauses[-1] <= PROBE.longest


def test_an_outage_of_any_length_releases_no_job() -> None:
    harness = SchedulerHarness()
    harness.add(*"abcdefghij")
    harness.turn()

    for _ in range(50):
        harness.lose_store()
        harness.let_time_pass()

    assert harness.individual == []
    assert len(harness.scheduler) + len(harness.submitted[-1]) == 10


def test_a_job_that_fails_individually_is_left_to_the_failure_policy() -> None:
    harness = SchedulerHarness(max_jobs=1)
    harness.add("x", "a", "b")
    harness.turn()
    harness.lose_store()

    assert harness.let_time_pass() == ["a"]
    harness.finish()
    harness.turn()
    harness.finish()
    harness.turn()

    assert [job.message for job in harness.individual] == ["x"]
    assert [[job.message for job in batch] for batch in harness.submitted] == [["x"], ["a"], ["b"]]


def test_jobs_of_a_failed_batch_run_individually_beside_other_batches() -> None:
    harness = SchedulerHarness(max_jobs=2)
    harness.add("x", "a", "b")
    harness.turn()

    harness.fail()
    submitted = harness.turn()

    assert [job.message for job in harness.individual] == ["x", "a"]
    assert submitted == ["b"]


def test_many_pending_jobs_stop_the_prefetch() -> None:
    harness = SchedulerHarness(max_jobs=1, max_pending_bytes=100)

    harness.add("a", size=60)
    harness.turn()
    assert harness.full == []
    harness.add("b", size=60)
    assert harness.full == [True]
    harness.finish()
    assert harness.full == [True]
    harness.turn()
    harness.finish()

    assert harness.full == [True, False]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 60), st.booleans()),
            st.sampled_from([("end",), ("lose",), ("fail",), ("half",), ("wait",)]),
        ),
        max_size=80,
    ),
    st.integers(1, 3),
)
def test_every_job_is_in_exactly_one_state(happenings: list[tuple[object, ...]], slots: int) -> None:
    harness = SchedulerHarness(slots=slots, max_jobs=3, max_bytes=100, max_pending_bytes=150)
    running: list[list[PendingJob]] = []
    finished: list[PendingJob] = []
    added = 0
    for happening in happenings:
        match happening:
            case ("add", int(size), bool(isolated)):
                harness.add(str(added), size=size, isolated=isolated)
                added += 1
            case ("wait",):
                running += [harness.submitted[-n] for n in range(len(harness.let_time_pass()), 0, -1)]
            case (how,) if running:
                batch = running.pop(0)
                if how == "lose":
                    harness.end(unavailable=batch)
                elif how == "fail":
                    harness.end(failed=batch)
                else:
                    number = len(batch) // 2 if how == "half" else len(batch)
                    harness.end(finished=batch[:number], unavailable=batch[number:])
                    finished += batch[:number]
        running += [harness.submitted[-n] for n in range(len(harness.turn()), 0, -1)]
        held = [job for batch in running for job in batch]
        assert len(harness.scheduler) + len(held) + len(finished) + len(harness.individual) == added
        assert len(running) <= slots
        assert running or harness.is_paused or not len(harness.scheduler)
    places = [job.message for job in (*held, *finished, *harness.individual)] if happenings else []
    assert len(places) == len(set(places))


@pytest.mark.parametrize("max_jobs", [1, 3])
def test_after_an_outage_batches_grow_again(max_jobs: int) -> None:
    harness = SchedulerHarness(max_jobs=max_jobs)
    harness.add("a")
    harness.turn()
    harness.lose_store()
    harness.let_time_pass()
    harness.finish()

    for _ in range(3):
        harness.add("b", "c", "d")
        harness.turn()
        harness.finish()

    assert len(harness.submitted[-1]) == max_jobs
