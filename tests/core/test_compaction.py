"""Laws of forgetting: what a settled delete made void is never missed, whatever comes later."""

from __future__ import annotations

from hypothesis import given
from tests.support.builders import add_push_token, day, delete, identify, merge
from tests.support.conflicting_jobs import job_sets, timestamps
from tests.support.example_counts import examples
from tests.support.facts import single_facts_of
from tests.support.projected_world import HISTORY, world_of

from rollbook_shared.domain.stamps import stamp_floor
from rollbook_shared.jobs.models import Job
from rollbook_worker.core import (
    Fact,
    ProfileKeySet,
    PushTokenChanged,
    UserDeleted,
    UserIdentified,
    UsersMerged,
    compact,
    decisive_identifies,
    join,
    overwritten_token_changes,
)

_HISTORY = HISTORY.days * 86_400 * 1_000_000


def _facts(jobs: list[Job]) -> list[Fact]:
    return list(join({}, (fact for job in jobs for fact in single_facts_of(job))).values())


@examples(700)
@given(job_sets, timestamps)
def test_compaction_changes_nothing_that_readers_see(jobs: list[Job], horizon: int) -> None:
    facts = _facts(jobs)

    compaction = compact(facts, _HISTORY, stamp_floor(horizon))

    assert world_of(compaction.kept) == world_of(facts)


@examples(700)
@given(job_sets, timestamps)
def test_jobs_after_the_horizon_lead_to_the_same_world_with_and_without_compaction(
    jobs: list[Job], horizon: int
) -> None:
    early = _facts([job for job in jobs if job.occurred_at < horizon])
    late = _facts([job for job in jobs if job.occurred_at >= horizon])

    compaction = compact(early, _HISTORY, stamp_floor(horizon))

    assert world_of([*compaction.kept, *late]) == world_of([*early, *late])


@examples(300)
@given(job_sets, timestamps)
def test_compaction_keeps_no_fact_from_before_a_delete_that_lies_before_the_horizon(
    jobs: list[Job], horizon: int
) -> None:
    compaction = compact(_facts(jobs), _HISTORY, stamp_floor(horizon))

    for fact in compaction.kept:
        if isinstance(fact, (UserIdentified, ProfileKeySet)):
            assert fact.stamp > compaction.void_until.get(fact.user_id, "")
        if isinstance(fact, UserDeleted):
            assert fact.stamp >= stamp_floor(horizon)


@examples(100)
@given(job_sets, timestamps)
def test_compacting_again_drops_nothing_more(jobs: list[Job], horizon: int) -> None:
    once = compact(_facts(jobs), _HISTORY, stamp_floor(horizon)).kept

    assert compact(once, _HISTORY, stamp_floor(horizon)).kept == once


def _known_and_late(jobs: list[Job], horizon: int) -> tuple[list[Fact], list[Fact]]:
    """All facts from before the horizon and some from after it, and those that have not arrived yet."""
    is_late = [job.occurred_at >= horizon and number % 2 == 0 for number, job in enumerate(jobs)]
    known = _facts([job for job, late in zip(jobs, is_late, strict=True) if not late])
    return known, _facts([job for job, late in zip(jobs, is_late, strict=True) if late])


def _without_indecisive(facts: list[Fact], horizon: int) -> list[Fact]:
    decisive = decisive_identifies(facts, _HISTORY, stamp_floor(horizon))
    return [fact for fact in facts if not isinstance(fact, UserIdentified) or fact in decisive]


@examples(700)
@given(job_sets, timestamps)
def test_indecisive_identifies_are_never_missed_whatever_jobs_arrive_after_the_horizon(
    jobs: list[Job], horizon: int
) -> None:
    known, late = _known_and_late(jobs, horizon)

    kept = _without_indecisive(known, horizon)

    assert world_of(kept) == world_of(known)
    assert world_of([*kept, *late]) == world_of([*known, *late])


@examples(300)
@given(job_sets, timestamps, timestamps)
def test_identifies_and_deleted_users_are_compacted_in_turn(jobs: list[Job], one: int, other: int) -> None:
    first, second = sorted((one, other))
    early = _facts([job for job in jobs if job.occurred_at < first])
    between = _facts([job for job in jobs if first <= job.occurred_at < second])
    late = _facts([job for job in jobs if job.occurred_at >= second])

    kept = compact(_without_indecisive(early, first), _HISTORY, stamp_floor(first)).kept
    kept = compact([*kept, *between], _HISTORY, stamp_floor(second)).kept
    kept = _without_indecisive(kept, second)

    assert world_of([*kept, *late]) == world_of([*early, *between, *late])


@examples(300)
@given(job_sets, timestamps)
def test_of_each_id_one_identify_is_kept_for_each_user_that_it_created_and_the_newest(
    jobs: list[Job], horizon: int
) -> None:
    facts = _facts([job for job in jobs if job.occurred_at < horizon])

    kept = decisive_identifies(facts, _HISTORY, stamp_floor(horizon))

    named = [fact.user_ids for fact in facts if isinstance(fact, (UserDeleted, UsersMerged))]
    with_events = {user_id for ids in named for user_id in ids}
    for user_id in {fact.user_id for fact in kept}:
        ends = len(named) if user_id in with_events else 0
        assert sum(fact.user_id == user_id for fact in kept) <= 2 + ends


@examples(700)
@given(job_sets, timestamps)
def test_overwritten_token_changes_are_never_missed_whatever_jobs_arrive_after_the_horizon(
    jobs: list[Job], horizon: int
) -> None:
    known, late = _known_and_late(jobs, horizon)

    overwritten = overwritten_token_changes(known, stamp_floor(horizon))
    kept = [fact for fact in _without_indecisive(known, horizon) if fact not in overwritten]

    assert world_of(kept) == world_of(known)
    assert world_of([*kept, *late]) == world_of([*known, *late])


def test_of_a_token_that_is_added_again_and_again_one_change_is_kept_between_two_events() -> None:
    jobs = [add_push_token("b", "push", "t", at=at, job=f"b{at:02}") for at in range(50)]
    facts = _facts([*jobs, add_push_token("b", "push", "other", at=3, job="o"), merge("a", "b", at=10, plus=1)])

    overwritten = overwritten_token_changes(facts, stamp_floor(day(40)))

    kept = [fact.stamp[14:-5] for fact in facts if isinstance(fact, PushTokenChanged) and fact not in overwritten]
    assert sorted(kept) == ["b10", "b39", *(f"b{at}" for at in range(40, 50)), "o"]


def test_of_a_merged_user_who_is_identified_again_and_again_two_identifies_are_kept() -> None:
    jobs = [identify(id_, at=at, job=f"{id_}{at}") for id_ in "ab" for at in range(50)]
    facts = _facts([*jobs, merge("a", "b", at=10)])

    kept = decisive_identifies(facts, _HISTORY, stamp_floor(day(60)))

    assert sorted(fact.stamp[14:-5] for fact in kept) == ["a0", "a49", "b0", "b49"]


def test_the_first_identify_behind_each_delete_is_kept() -> None:
    jobs = [identify("a", at=at, job=f"a{at}") for at in range(50)]
    facts = _facts([*jobs, *(delete("a", at=at, plus=1, job=f"d{at}") for at in (10, 20))])

    kept = decisive_identifies(facts, _HISTORY, stamp_floor(day(60)))

    assert sorted(fact.stamp[14:-5] for fact in kept) == ["a0", "a11", "a21", "a49"]


def test_every_identify_that_a_late_delete_may_come_before_is_kept() -> None:
    facts = _facts([identify("a", at=at, job=f"a{at:02}") for at in range(50)])

    kept = decisive_identifies(facts, _HISTORY, stamp_floor(day(45)))

    assert sorted(fact.stamp[14:-5] for fact in kept) == ["a00", *(f"a{at}" for at in range(45, 50))]
