"""A model of Rollbook over several Postgres: how a worker would apply jobs to buckets, without two-phase commit.

A bucket has the ids whose hash falls to it, and is a Postgres of its own: each of its commits is atomic, and nothing
joins two buckets. An identity cluster may lie across buckets. A worker applies a batch in steps:

    write the facts     each fact into every bucket that has an id that it names: one commit a bucket
    recompute           for each cluster: lock its root, read the facts of all members, write the result at the root
    point to the root   from each other member, so that readers find the result
    finish              the row that makes a further delivery a duplicate
    acknowledge         what is not acknowledged is delivered again

A worker yields before each read and each commit: there others go on, and there it may die.
`docs/explanation/beyond-one-postgres.md` has the argument why the end is that of the reference all the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from tests.support.buckets.placement import bucket_number, placed_facts, projected_ids
from tests.support.projected_world import HISTORY

from rollbook_shared.jobs.models import Job
from rollbook_worker.core import Fact, Projection, Registers, UsersMerged, join, project

_HISTORY: Final = HISTORY // timedelta(microseconds=1)

Steps = Generator[None, None, None]
"""What a worker does. It stops before each step."""
Members = dict[str, Registers]
"""The ids of a cluster, each with the facts that name it."""


@dataclass(slots=True)
class Bucket:
    """One Postgres."""

    facts: Registers = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    """Jobs that are applied."""
    pointers: dict[str, str] = field(default_factory=dict)
    """From an id to a smaller one of its cluster. The root has none."""
    results: dict[str, Projection] = field(default_factory=dict)
    """By root, what readers see of its cluster. That of an id with a pointer is not read."""
    locked: set[str] = field(default_factory=set)
    """Roots that a transaction has locked."""


class Workers:
    """What workers do to the buckets."""

    def __init__(self, buckets: int) -> None:
        self.buckets = [Bucket() for _ in range(buckets)]

    def bucket_of(self, name: str) -> Bucket:
        """The bucket to which an id, or another name, falls."""
        return self.buckets[bucket_number(name, len(self.buckets))]

    def apply(self, batch: Sequence[Job]) -> Steps:
        """Apply a batch. When this ends, the batch is acknowledged."""
        yield
        jobs = [job for job in batch if job.id not in self.row_of(job).finished]
        yield from self.write_facts(jobs)
        yield from self.recompute(jobs)
        yield from self.finish(jobs)

    def write_facts(self, jobs: Iterable[Job]) -> Steps:
        """Keep the newest fact of each register, in each bucket."""
        written: dict[int, list[Fact]] = defaultdict(list)
        for job in jobs:
            for name, fact in placed_facts(job):
                written[bucket_number(name, len(self.buckets))].append(fact)
        for number, facts in written.items():
            yield
            join(self.buckets[number].facts, facts)

    def recompute(self, jobs: Iterable[Job]) -> Steps:
        """Write what readers see of each cluster that the jobs name."""
        ids = {id_ for job in jobs for _, fact in placed_facts(job) for id_ in projected_ids(fact)}
        while ids:
            members = yield from self.recompute_cluster(min(ids))
            ids.difference_update(members)

    def recompute_cluster(self, id_: str) -> Generator[None, None, Collection[str]]:
        """Read all facts of the cluster while its root is locked, and write the result there. Return the members."""
        members = yield from self.read_cluster([id_])
        root = None
        while root != min(members):  # as it is read again under the lock, the cluster may have grown
            root = min(members)
            yield from self.lock(root)
            try:
                members = yield from self.read_cluster(members)
                if root == min(members):
                    yield
                    self.write_result(root, members)
            finally:  # Postgres does this too for a worker that dies
                self.bucket_of(root).locked.discard(root)
        yield from self.point(members, root)
        return members.keys()

    def read_cluster(self, ids: Iterable[str]) -> Generator[None, None, Members]:
        """The facts of all ids that merges and pointers join to these. Each id is read by itself: what is committed
        between two reads may be seen in part.
        """
        members: Members = {}
        to_read = set(ids)
        while to_read:
            yield
            id_ = min(to_read)
            bucket = self.bucket_of(id_)
            members[id_] = {key: fact for key, fact in bucket.facts.items() if id_ in projected_ids(fact)}
            to_read |= {
                other for fact in members[id_].values() if isinstance(fact, UsersMerged) for other in fact.user_ids
            }
            to_read.add(bucket.pointers.get(id_, id_))
            to_read -= members.keys()
        return members

    def lock(self, root: str) -> Steps:
        """Wait until no other transaction has the root, and take it."""
        yield
        while root in self.bucket_of(root).locked:
            yield
        self.bucket_of(root).locked.add(root)

    def write_result(self, root: str, members: Members) -> None:
        """Write what readers see of the cluster."""
        facts = join({}, (fact for kept in members.values() for fact in kept.values()))
        self.bucket_of(root).results[root] = project(facts.values(), _HISTORY)

    def point(self, members: Iterable[str], root: str) -> Steps:
        """Let each other member point to the root. Where a late worker points to what was the root once, that id has a
        pointer too.
        """
        for id_ in members:
            if id_ != root:
                yield
                self.bucket_of(id_).pointers[id_] = root

    def finish(self, jobs: Iterable[Job]) -> Steps:
        """Write the row of each job."""
        for job in jobs:
            yield
            self.row_of(job).finished.add(job.id)

    def row_of(self, job: Job) -> Bucket:
        """The bucket with the job's row: one that has facts of it, so a job that concerns one bucket needs no other."""
        return self.bucket_of(next((name for name, _ in placed_facts(job)), job.id))
