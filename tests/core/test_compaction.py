"""Laws of forgetting: what a settled delete made void is never missed, whatever comes later."""

from __future__ import annotations

from hypothesis import given
from tests.support.conflicting_jobs import job_sets, timestamps
from tests.support.example_counts import examples
from tests.support.facts import single_facts_of
from tests.support.projected_world import HISTORY, world_of

from rollbook_shared.domain.stamps import stamp_floor
from rollbook_shared.jobs.models import Job
from rollbook_worker.core import Fact, ProfileKeySet, UserDeleted, UserIdentified, compact, join

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
