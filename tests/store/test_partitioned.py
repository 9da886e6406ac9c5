"""The same store on hash-partitioned tables, as `benchmarks/partitioning.py` makes them: clusters lie across several,
and the end is that of the reference all the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from benchmarks.partitioning import partition
from hypothesis import given
from tests.support.builders import NOW
from tests.support.conflicting_jobs import Delivery, deliveries
from tests.support.example_counts import examples
from tests.support.store.contended_jobs import JOBS, WORKERS, contending_jobs, deliver
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.jobs.codec import encode
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference

PARTITIONS = 4


@pytest.fixture(scope="module")
def on_partitions(new_database: Callable[[], str]) -> Iterator[OnPostgres]:
    url = new_database()
    partition(url, PARTITIONS)
    subject = OnPostgres(url)
    yield subject
    subject.close()


@examples(50)
@given(delivery=deliveries())
def test_any_delivery_converges_to_the_reference(on_partitions: OnPostgres, delivery: Delivery) -> None:
    on_partitions.reset()

    for batch in delivery.batches:
        arrive(on_partitions, *map(encode, batch), now=NOW)

    assert first_difference(on_partitions.world(), oracle(delivery.jobs)) is None


def test_contending_workers_agree_with_the_reference(on_partitions: OnPostgres) -> None:
    on_partitions.reset()
    chance = random.Random(1)
    jobs = list(contending_jobs(chance))
    deliveries = chance.sample([*jobs, *jobs], 2 * JOBS)
    batches = [deliveries[start : start + 7] for start in range(0, len(deliveries), 7)]

    with ThreadPoolExecutor(WORKERS) as workers:
        outcomes = list(workers.map(lambda batch: deliver(on_partitions, batch), batches))

    assert sum(state == "applied" for states in outcomes for state in states) == JOBS
    assert first_difference(on_partitions.world(), oracle(jobs)) is None
    assert clusters_across(on_partitions) > 0


def test_partitioning_keeps_the_rows(new_database: Callable[[], str]) -> None:
    subject = OnPostgres(new_database())
    deliver(subject, list(contending_jobs(random.Random(2))))
    before = subject.world(), subject.ledger()

    partition(subject.url, PARTITIONS)

    assert (subject.world(), subject.ledger()) == before
    subject.close()


def clusters_across(subject: OnPostgres) -> int:
    row = subject.connection.execute(
        "SELECT count(*) FROM"
        " (SELECT FROM rollbook.users GROUP BY cluster_root"
        " HAVING count(DISTINCT tableoid) > 1 AND cluster_root IS NOT NULL) AS f"
    ).fetchone()
    return int(row[0]) if row else 0
