"""Judges what came of it. What should have come of the same jobs, the plain reference of the demo says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.chaos.details import Details, details_after
from benchmarks.chaos.evidence import Evidence

from rollbook_shared.jobs.models import BulkDelete, Delete, Job, Mark, Merge
from rollbook_shared.reference.differences import Difference, smallest_difference
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import World

_MARKS: Final = {
    "seen": ("seen", True),
    "unseen": ("seen", False),
    "read": ("read", True),
    "unread": ("read", False),
    "archived": ("archived", True),
    "unarchived": ("archived", False),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is wrong; nothing, if all of it is empty."""

    lost: tuple[str, ...]
    """Jobs that were confirmed, of which nothing was decided and that are nowhere; or that a buffer was told, and never
    sent."""
    lost_again: tuple[str, ...]
    """Jobs whose further deliveries were confirmed by Redis, and did not all reach a worker, nor wait for one."""
    waiting: tuple[str, ...]
    """Jobs of which nothing was decided, and that still wait: the run was not done in time."""
    applied_twice: tuple[str, ...]
    """Jobs that left two rows where one belongs, or were decided twice."""
    resurrected: tuple[str, ...]
    """Users that are there and whom a delete or a merge ended."""
    undone: tuple[str, ...]
    """Jobs that were decided, and not applied: rejected, dead, or still deferred."""
    strays: tuple[str, ...]
    """Jobs that were decided and never sent."""
    difference: Difference | None
    """The smallest one between the reference and Postgres."""

    @property
    def is_equal(self) -> bool:
        """Whether everything is as if each job had been applied once, in the order of the stamps."""
        wrong = (
            *(self.lost, self.lost_again, self.waiting),
            *(self.applied_twice, self.resurrected, self.undone, self.strays),
        )
        return not any(wrong) and self.difference is None


def judge(evidence: Evidence) -> Verdict:
    """Hold what came of it against what should have."""
    expected = oracle(evidence.jobs)
    sent = {job.id for job in evidence.jobs}
    ledger, dead = evidence.ledger, evidence.dead
    ended = set(_ended(evidence.jobs))
    unfinished = sent - ledger.keys() - dead.keys()
    waiting = unfinished & (evidence.in_redis.keys() | evidence.in_outbox)
    return Verdict(
        lost=_sorted(evidence.untold | (unfinished - waiting)),
        lost_again=_sorted(
            id_
            for id_, times in evidence.to_redis.items()
            if (decision := ledger.get(id_)) is not None
            and decision.duplicates + 1 + evidence.in_redis.get(id_, 0) < times
        ),
        waiting=_sorted(waiting),
        applied_twice=_sorted(evidence.repeated | (ledger.keys() & dead.keys())),
        resurrected=_sorted(
            user for user in evidence.world["users"].keys() - expected["users"].keys() if user in ended
        ),
        undone=_sorted(
            id_ for id_ in sent if id_ in dead or ((found := ledger.get(id_)) is not None and found.state != "applied")
        ),
        strays=_sorted((ledger.keys() | dead.keys()) - sent),
        difference=smallest_difference(
            _in_full(expected, marks_after(evidence.jobs), details_after(evidence.jobs)),
            _in_full(evidence.world, evidence.marks, evidence.details),
            evidence.jobs,
        ),
    )


def marks_after(jobs: Iterable[Job]) -> dict[str, frozenset[str]]:
    """Of each message that was ever marked, the marks that it bears after `jobs`, the newest of each sort standing."""
    marks: dict[str, set[str]] = {}
    for job in sorted(jobs, key=lambda job: (job.occurred_at, job.id)):
        if isinstance(job, Mark):
            name, is_set = _MARKS[job.engagement]
            for message in job.message_ids:
                bears = marks.setdefault(str(message), set())
                (bears.add if is_set else bears.discard)(name)
    return {message: frozenset(bears) for message, bears in marks.items()}


def _in_full(world: World, marks: Mapping[str, frozenset[str]], details: Details) -> Any:
    """The world with each message's marks in it, and with what each row tells of its trigger."""
    messages = {
        id_: {**row, **details.get(id_, {}), "marks": sorted(marks.get(id_, ()))}
        for id_, row in world["messages"].items()
    }
    activities = {id_: {**row, **details.get(id_, {})} for id_, row in world["activities"].items()}
    return {**world, "messages": messages, "activities": activities}


def _ended(jobs: Iterable[Job]) -> Iterable[str]:
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
