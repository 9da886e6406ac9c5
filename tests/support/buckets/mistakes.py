"""Workers that make one mistake each, which the model must show."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Sequence

from tests.support.buckets.placement import bucket_number, placed_facts
from tests.support.buckets.workers import Members, Steps, Workers

from rollbook_shared.jobs.models import Job
from rollbook_worker.core import UsersMerged


class FactsSecond(Workers):
    """Recomputes with the facts of its jobs in hand, and writes them afterwards."""

    def apply(self, batch: Sequence[Job]) -> Steps:
        yield
        jobs = [job for job in batch if job.id not in self.row_of(job).finished]
        for job in jobs:
            yield from _Knowing(self, job).recompute([job])
        yield from self.write_facts(jobs)
        yield from self.finish(jobs)


class _Knowing(Workers):
    """A worker that reads the facts of one job as if they were written."""

    def __init__(self, others: Workers, job: Job) -> None:
        self.buckets = others.buckets
        self._facts = list(placed_facts(job))

    def write_result(self, root: str, members: Members) -> None:
        own = {fact.register_key: fact for name, fact in self._facts if name in members}
        super().write_result(root, {**members, "": own})


class FinishedBeforeItIsRecomputed(Workers):
    """Writes the row of a job with its facts, so a further delivery recomputes nothing."""

    def apply(self, batch: Sequence[Job]) -> Steps:
        yield
        jobs = [job for job in batch if job.id not in self.row_of(job).finished]
        yield from self.write_facts(jobs)
        yield from self.finish(jobs)
        yield from self.recompute(jobs)


class FactsTakenForTheWhole(Workers):
    """Takes a job whose facts are all there for one that is applied."""

    def apply(self, batch: Sequence[Job]) -> Steps:
        yield from super().apply([job for job in batch if not self._is_written(job)])

    def _is_written(self, job: Job) -> bool:
        return all(self.bucket_of(name).facts.get(fact.register_key) == fact for name, fact in placed_facts(job))


class LastArrivalStands(Workers):
    """Keeps the fact that arrives last, so a further delivery changes something."""

    def write_facts(self, jobs: Iterable[Job]) -> Steps:
        for job in jobs:
            for name, fact in placed_facts(job):
                yield
                self.bucket_of(name).facts[fact.register_key] = fact


class MergeKnownToOneSide(Workers):
    """Writes a merge to the bucket of the secondary only."""

    def write_facts(self, jobs: Iterable[Job]) -> Steps:
        for job in jobs:
            for name, fact in placed_facts(job):
                if not isinstance(fact, UsersMerged) or self.bucket_of(name) is self.bucket_of(fact.secondary_id):
                    yield
                    kept = self.bucket_of(name).facts
                    kept[fact.register_key] = max(fact, kept.get(fact.register_key, fact), key=lambda fact: fact.stamp)


class ReadBeforeLocking(Workers):
    """Locks the root after it has read the facts."""

    def recompute_cluster(self, id_: str) -> Generator[None, None, Collection[str]]:
        members = yield from self.read_cluster([id_])
        root = min(members)
        yield from self.lock(root)
        try:
            yield
            self.write_result(root, members)
        finally:
            self.bucket_of(root).locked.discard(root)
        yield from self.point(members, root)
        return members.keys()


class NothingLocked(Workers):
    """Reads and writes beside others."""

    def lock(self, root: str) -> Steps:
        yield


class NoPointers(Workers):
    """Leaves the other members as they were."""

    def point(self, members: Iterable[str], root: str) -> Steps:
        yield


class OneBucketRead(Workers):
    """Reads the facts of the members that lie beside the root only."""

    def write_result(self, root: str, members: Members) -> None:
        number = bucket_number(root, len(self.buckets))
        beside = {id_: facts for id_, facts in members.items() if bucket_number(id_, len(self.buckets)) == number}
        super().write_result(root, beside)


MISTAKES: tuple[type[Workers], ...] = (
    FactsSecond,
    FinishedBeforeItIsRecomputed,
    FactsTakenForTheWhole,
    LastArrivalStands,
    MergeKnownToOneSide,
    ReadBeforeLocking,
    NothingLocked,
    NoPointers,
    OneBucketRead,
)
