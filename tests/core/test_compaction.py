"""Laws of forgetting: what a settled delete made void is never missed, whatever comes later."""

from __future__ import annotations

from hypothesis import given
from tests.support.conflicting_jobs import job_sets, timestamps
from tests.support.example_counts import examples
from tests.support.projected_world import HISTORY, world_of

from rollbook_shared.domain.stamps import stamp_floor
from rollbook_shared.jobs.models import Job
from rollbook_worker.core import Ended, Fact, Seen, Told, facts_of, join, settle

_HISTORY = HISTORY.days * 86_400 * 1_000_000


def _facts(jobs: list[Job]) -> list[Fact]:
    return list(join({}, (fact for job in jobs for fact in facts_of(job))).values())


@examples(700)
@given(job_sets, timestamps)
def test_nobody_sees_that_settled_deletes_were_forgotten(jobs: list[Job], horizon: int) -> None:
    facts = _facts(jobs)

    settlement = settle(facts, _HISTORY, stamp_floor(horizon))

    assert world_of(settlement.kept) == world_of(facts)


@examples(700)
@given(job_sets, timestamps)
def test_what_is_told_after_the_horizon_meets_the_same_world(jobs: list[Job], horizon: int) -> None:
    early = _facts([job for job in jobs if job.occurred_at < horizon])
    late = _facts([job for job in jobs if job.occurred_at >= horizon])

    settlement = settle(early, _HISTORY, stamp_floor(horizon))

    assert world_of([*settlement.kept, *late]) == world_of([*early, *late])


@examples(300)
@given(job_sets, timestamps)
def test_nothing_told_of_a_deleted_user_before_a_settled_delete_is_kept(jobs: list[Job], horizon: int) -> None:
    settlement = settle(_facts(jobs), _HISTORY, stamp_floor(horizon))

    for fact in settlement.kept:
        if isinstance(fact, (Seen, Told)):
            assert fact.stamp > settlement.until.get(fact.user, "")
        if isinstance(fact, Ended):
            assert fact.primary_id is not None or fact.stamp >= stamp_floor(horizon)


@examples(100)
@given(job_sets, timestamps)
def test_settling_twice_settles_nothing_more(jobs: list[Job], horizon: int) -> None:
    once = settle(_facts(jobs), _HISTORY, stamp_floor(horizon)).kept

    assert settle(once, _HISTORY, stamp_floor(horizon)).kept == once
