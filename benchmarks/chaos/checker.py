"""Checks the history of a run against the reference, which computes what the same jobs should have done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.chaos.delivery_checker import DeliveryResult, check_deliveries
from benchmarks.chaos.history import History
from benchmarks.chaos.row_details import Details, expected_details

from rollbook_shared.jobs.models import BulkDelete, Delete, Job, Merge
from rollbook_shared.reference.differences import Difference, smallest_difference
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What is wrong. Nothing is, if everything in it is empty."""

    lost: tuple[str, ...]
    """Confirmed jobs that are not finished and nowhere; or jobs that a buffer accepted and never sent."""
    lost_deliveries: tuple[str, ...]
    """Jobs with deliveries that Redis confirmed, that reached no worker and do not wait for one."""
    unfinished: tuple[str, ...]
    """Jobs that are not finished and still wait: the run was not done in time."""
    applied_twice: tuple[str, ...]
    """Jobs that left two rows instead of one, or that were finished twice."""
    resurrected: tuple[str, ...]
    """Users that exist although a delete or a merge removed them."""
    not_applied: tuple[str, ...]
    """Jobs that were rejected, are dead or are still deferred."""
    misjudged: tuple[str, ...]
    """Triggers older than the retention whose status does not say so, or others whose status does."""
    unexpected: tuple[str, ...]
    """Finished jobs that were never sent."""
    difference: Difference | None
    """The smallest difference between the reference and Postgres."""
    messages: DeliveryResult
    """What is wrong with messages that were to leave."""

    @property
    def is_equal(self) -> bool:
        """Whether the result is that of applying each job once, in the order of the stamps."""
        wrong = (
            *(self.lost, self.lost_deliveries, self.unfinished),
            *(self.applied_twice, self.resurrected, self.not_applied, self.misjudged, self.unexpected),
        )
        return not any(wrong) and self.difference is None and not any(self.messages.found.values())


def check_history(history: History) -> CheckResult:
    """Compare the history with what the jobs should have done."""
    expected = _without_history_of(oracle(history.jobs), [job for job in history.jobs if job.id in history.too_late])
    sent = {job.id for job in history.jobs}
    ledger, dead = history.ledger, history.dead
    removed = set(_removed(history.jobs))
    missing = sent - ledger.keys() - dead.keys()
    unfinished = missing & (history.in_redis.keys() | history.in_outbox)
    return CheckResult(
        lost=_sorted(history.unpublished | (missing - unfinished)),
        lost_deliveries=_sorted(
            id_
            for id_, times in history.to_redis.items()
            if (entry := ledger.get(id_)) is not None and entry.duplicates + 1 + history.in_redis.get(id_, 0) < times
        ),
        unfinished=_sorted(unfinished),
        applied_twice=_sorted(history.repeated | (ledger.keys() & dead.keys())),
        resurrected=_sorted(
            user for user in history.world["users"].keys() - expected["users"].keys() if user in removed
        ),
        not_applied=_sorted(
            id_ for id_ in sent if id_ in dead or ((found := ledger.get(id_)) is not None and found.state != "applied")
        ),
        misjudged=_sorted((history.too_late & sent) ^ history.said_to_be_too_late),
        unexpected=_sorted((ledger.keys() | dead.keys()) - sent),
        difference=smallest_difference(
            _with_details(expected, expected_details(history.jobs)),
            _with_details(history.world, history.details),
            history.jobs,
        ),
        messages=check_deliveries(history.messages, expected["messages"].keys()),
    )


def _without_history_of(world: World, jobs: Iterable[Job]) -> World:
    """The world without the messages and activities of these triggers, which are too old to make any."""
    rows = expected_details(jobs).keys()
    return {
        **world,
        "messages": {id_: row for id_, row in world["messages"].items() if id_ not in rows},
        "activities": {id_: row for id_, row in world["activities"].items() if id_ not in rows},
    }


def _with_details(world: World, details: Details) -> Any:
    """The world with the details of each row."""
    messages = {id_: {**row, **details.get(id_, {})} for id_, row in world["messages"].items()}
    activities = {id_: {**row, **details.get(id_, {})} for id_, row in world["activities"].items()}
    return {**world, "messages": messages, "activities": activities}


def _removed(jobs: Iterable[Job]) -> Iterable[str]:
    for job in jobs:
        match job:
            case Delete(user_id=user_id):
                yield user_id
            case BulkDelete(user_ids=user_ids):
                yield from user_ids
            case Merge(secondary_id=user_id):
                yield user_id
            case _:
                pass


def _sorted(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(ids))
