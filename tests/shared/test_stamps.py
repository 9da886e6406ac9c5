"""Stamps are text that sorts like `(occurred_at, job id, ordinal)`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.example_counts import examples

from rollbook_shared.domain.stamps import (
    JOB_ID,
    MAX_ORDINAL,
    datetime_of,
    job_id_of,
    microseconds,
    new_job_id,
    occurred_at_of,
    ordinal_of,
    stamp,
    stamp_floor,
)

Parts = tuple[int, str, int]

_times = st.integers(0, 3) | st.integers(0, (1 << 55) - 1)
# few characters, so that ids often begin with one another; among them the smallest and the greatest an id may hold
_ids = st.text("-.0A:_az", min_size=1, max_size=4) | st.from_regex(JOB_ID, fullmatch=True)
_ordinals = st.integers(0, 2) | st.integers(0, MAX_ORDINAL)
_parts = st.tuples(_times, _ids, _ordinals)


@examples(300)
@given(_parts, _parts)
@example((1, "x", MAX_ORDINAL), (1, "x-", 0))
@example((1, "x", 1), (1, "x0", 0))
@example((255, "x", 0), (256, "a", 0))
def test_stamps_sort_like_their_parts(one: Parts, other: Parts) -> None:
    assert (stamp(*one) < stamp(*other)) == (one < other)
    assert (stamp(*one) == stamp(*other)) == (one == other)


@examples(150)
@given(_parts)
def test_a_stamp_gives_its_parts_back(parts: Parts) -> None:
    text = stamp(*parts)

    assert (occurred_at_of(text), job_id_of(text), ordinal_of(text)) == parts


@examples(150)
@given(_parts, _times)
def test_a_stamp_floor_is_just_before_its_time(parts: Parts, occurred_at: int) -> None:
    assert (stamp(*parts) > stamp_floor(occurred_at)) == (parts[0] >= occurred_at)


def test_a_stamp_floor_before_1970_is_before_everything() -> None:
    assert stamp_floor(-1) == stamp_floor(0) < stamp(0, "-", 0)


@examples(150)
@given(_times)
def test_times_lose_no_microsecond(occurred_at: int) -> None:
    assert microseconds(datetime_of(occurred_at)) == occurred_at


def test_times_of_other_time_zones_are_the_same_times() -> None:
    east = datetime(2026, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert microseconds(east) == microseconds(datetime(2026, 1, 1, tzinfo=UTC))


def test_new_job_ids_are_valid_distinct_and_sorted_by_time() -> None:
    earlier, later, again = new_job_id(1), new_job_id(1 << 54), new_job_id(1)

    assert all(JOB_ID.fullmatch(id_) for id_ in (earlier, later))
    assert earlier != again
    assert max(earlier, again) < later
