"""Which jobs wait for which, without Celery and without a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.batching.scheduler_harness import Line

from rollbook_worker.celery_ext.batching.scheduler import PROBE, Waiting


def test_an_idle_worker_waits_for_nobody() -> None:
    line = Line()

    line.add("a")

    assert line.turn() == ["a"]


def test_what_comes_while_a_batch_is_applied_goes_together_afterwards() -> None:
    line = Line()
    line.add("a")
    line.turn()

    line.add("b", "c", "d")
    assert line.turn() == []
    line.end()

    assert line.turn() == ["bcd"]


def test_each_slot_applies_a_batch() -> None:
    line = Line(slots=2, most_jobs=2)

    line.add("a", "b", "c", "d", "e")

    assert line.turn() == ["ab", "cd"]


def test_a_batch_is_bounded_by_its_bytes_and_a_larger_job_goes_by_itself() -> None:
    line = Line(slots=9, most_jobs=99, most_bytes=100)

    line.add("a", "b", size=50)
    line.add("c", size=51)
    line.add("L", size=101)
    line.add("d", size=1)

    assert line.turn() == ["ab", "c", "L", "d"]


def test_a_job_that_comes_again_has_no_company_for_its_last_worker_may_have_died_of_it() -> None:
    line = Line(slots=9)

    line.add("a")
    line.add("x", alone=True)
    line.add("b", "c")

    assert line.turn() == ["a", "x", "bc"]


def test_while_the_store_is_away_all_wait_and_nothing_is_sent() -> None:
    line = Line(slots=2)
    line.add("a", "b", "c", "d", "e")
    line.turn()

    line.fail(0)
    line.fail(1)
    line.add("f")

    assert line.turn() == []
    assert line.ordinary == []
    assert len(line.gatherer) == 6


def test_one_smaller_batch_at_a_time_probes_whether_the_store_is_back() -> None:
    line = Line(slots=2, most_jobs=8)
    line.add(*"abcdefgh")
    line.turn()

    line.fail()
    assert line.end_pause() == ["abcd"]
    line.fail()
    assert line.end_pause() == ["ab"]
    line.end()

    assert line.turn() == ["cdef", "gh"]


def test_pauses_grow_and_stay_short() -> None:
    line = Line()
    line.add("a")
    line.turn()

    for _ in range(50):
        line.fail()
        line.end_pause()

    assert line.pauses[0] <= 0.5
    assert PROBE.longest / 2 <= line.pauses[-1] <= PROBE.longest


def test_however_long_the_store_is_away_no_job_is_given_away() -> None:
    line = Line()
    line.add(*"abcdefghij")
    line.turn()

    for _ in range(50):
        line.fail()
        line.end_pause()

    assert line.ordinary == []
    assert len(line.gatherer) + len(line.submitted[-1]) == 10


def test_a_job_that_fails_alone_while_others_succeed_is_left_to_the_ordinary_way() -> None:
    line = Line(most_jobs=1)
    line.add("x", "a", "b")
    line.turn()
    line.fail()

    assert line.end_pause() == ["a"]
    line.end()
    line.turn()
    line.end()
    line.turn()

    assert [job.message for job in line.ordinary] == ["x"]
    assert [[job.message for job in batch] for batch in line.submitted] == [["x"], ["a"], ["b"]]


def test_a_batch_that_failed_is_run_job_by_job_and_the_others_go_on() -> None:
    line = Line(most_jobs=2)
    line.add("x", "a", "b")
    line.turn()

    line.gatherer.ended()
    line.gatherer.failed(line.submitted[0])

    assert [job.message for job in line.ordinary] == ["x", "a"]
    assert line.turn() == ["b"]


def test_no_more_is_taken_from_the_broker_while_much_is_held() -> None:
    line = Line(most_jobs=1, hold_bytes=100)

    line.add("a", size=60)
    line.turn()
    assert line.full == []
    line.add("b", size=60)
    assert line.full == [True]
    line.end()
    assert line.full == [True]
    line.turn()
    line.end()

    assert line.full == [True, False]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 60), st.booleans()),
            st.sampled_from([("end",), ("fail",), ("break",), ("half",), ("wait",)]),
        ),
        max_size=80,
    ),
    st.integers(1, 3),
)
def test_every_job_is_in_one_place_whatever_happens(happenings: list[tuple[object, ...]], slots: int) -> None:
    line = Line(slots=slots, most_jobs=3, most_bytes=100, hold_bytes=150)
    running: list[list[Waiting]] = []
    decided: list[Waiting] = []
    added = 0
    for happening in happenings:
        match happening:
            case ("add", int(size), bool(alone)):
                line.add(str(added), size=size, alone=alone)
                added += 1
            case ("wait",):
                running += [line.submitted[-n] for n in range(len(line.end_pause()), 0, -1)]
            case (how,) if running:
                batch = running.pop(0)
                line.gatherer.ended()
                if how == "fail":
                    line.gatherer.unavailable(batch)
                elif how == "break":
                    line.gatherer.failed(batch)
                else:
                    done = batch[: len(batch) // 2] if how == "half" else batch
                    if done:
                        line.gatherer.decided(done)
                        decided += done
                    if held := batch[len(done) :]:
                        line.gatherer.unavailable(held)
        running += [line.submitted[-n] for n in range(len(line.turn()), 0, -1)]
        held = [job for batch in running for job in batch]
        assert len(line.gatherer) + len(held) + len(decided) + len(line.ordinary) == added
        assert len(running) <= slots
        assert running or line.is_paused() or not len(line.gatherer)
    places = [job.message for job in (*held, *decided, *line.ordinary)] if happenings else []
    assert len(places) == len(set(places))


@pytest.mark.parametrize("most_jobs", [1, 3])
def test_after_an_outage_batches_grow_again(most_jobs: int) -> None:
    line = Line(most_jobs=most_jobs)
    line.add("a")
    line.turn()
    line.fail()
    line.end_pause()
    line.end()

    for _ in range(3):
        line.add("b", "c", "d")
        line.turn()
        line.end()

    assert len(line.submitted[-1]) == most_jobs
