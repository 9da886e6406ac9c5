"""Several workers at once, on jobs that get into each other's way: the end is that of the reference all the same."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Final

import pytest
from tests.support.builders import (
    add_push_token,
    identify,
    merge,
    trigger,
    update_preferences,
)
from tests.support.store.contended_jobs import JOBS, WORKERS, contending_jobs, deliver
from tests.support.stores import OnPostgres

from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference

CLUSTERS: Final = 100


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_contending_workers_agree_with_the_reference(on_postgres: OnPostgres, seed: int) -> None:
    on_postgres.reset()
    chance = random.Random(seed)
    jobs = list(contending_jobs(chance))
    deliveries = [*jobs, *chance.sample(jobs, JOBS // 2)]
    chance.shuffle(deliveries)
    batches = [deliveries[start : start + 7] for start in range(0, len(deliveries), 7)]

    with ThreadPoolExecutor(WORKERS) as workers:
        outcomes = list(workers.map(lambda batch: deliver(on_postgres, batch), batches))

    assert sum(state == "applied" for states in outcomes for state in states) == JOBS
    assert first_difference(on_postgres.world(), oracle(jobs)) is None


def test_clusters_that_form_while_their_members_change_agree_with_the_reference(on_postgres: OnPostgres) -> None:
    """Each worker has one job of a new cluster, so that it finds no cluster when it looks for one."""
    on_postgres.reset()
    clusters = [_cluster(number) for number in range(CLUSTERS)]

    with ThreadPoolExecutor(WORKERS) as workers:
        for _ in workers.map(lambda job: deliver(on_postgres, [job]), chain.from_iterable(clusters)):
            pass

    assert first_difference(on_postgres.world(), oracle(chain.from_iterable(clusters))) is None


def test_rule_30_two_opt_outs_at_once_both_hold(on_postgres: OnPostgres) -> None:
    """Read, changed and written whole by an application, one of the two was lost in 19 of 20 tries."""
    on_postgres.reset()
    keys = [f"workflow-{number}" for number in range(40)]
    jobs = [update_preferences("a", "default", {"workflows": {key: False}}, at=1, job=key) for key in keys]

    with ThreadPoolExecutor(WORKERS) as workers:
        for _ in workers.map(lambda job: deliver(on_postgres, [job]), jobs):
            pass

    assert on_postgres.world()["users"]["a"]["preferences"] == {"default": {"workflows": dict.fromkeys(keys, False)}}


def test_rule_31_devices_that_register_at_once_are_all_kept(on_postgres: OnPostgres) -> None:
    """Read, changed and written whole by an application, seven of eight tokens were lost."""
    on_postgres.reset()
    tokens = [f"token-{number:02}" for number in range(40)]
    jobs = [add_push_token("a", "push", token, at=1, job=token) for token in tokens]

    with ThreadPoolExecutor(WORKERS) as workers:
        for _ in workers.map(lambda job: deliver(on_postgres, [job]), jobs):
            pass

    assert on_postgres.world()["users"]["a"]["channel_data"] == {"push": {"tokens": tokens}}


def _cluster(number: int) -> list[Job]:
    a, b, c = (f"{name}{number}" for name in "abc")
    jobs: list[Job] = [
        identify(b, x=1, at=1),
        merge(a, b, at=2),
        identify(c, y=1, at=1),
        identify(b, z=1, at=3),
        merge(c, a, at=4),
        identify(a, w=1, at=1),
        trigger(f"hello{number}", [a, b, c], at=5),
    ]
    random.Random(number).shuffle(jobs)
    return jobs
