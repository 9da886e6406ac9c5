"""The status of a merge says whether it took effect, and why not (rule 28)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.builders import DAY, NOW, delete, identify, merge
from tests.support.stores import OnPostgres

from rollbook import Rollbook
from rollbook_shared.domain.merge_effects import CYCLE, MERGED_ALREADY, MERGED_ELSEWHERE
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import ReceivedJob


@pytest.fixture(scope="module")
def on_postgres(database_url: str) -> Iterator[OnPostgres]:
    subject = OnPostgres(database_url)
    yield subject
    subject.close()


@pytest.fixture
def rb(on_postgres: OnPostgres) -> Iterator[Rollbook]:
    on_postgres.reset()
    with Rollbook(database_url=on_postgres.url) as rb:
        yield rb


ANN, GUEST = identify("ann", at=1, job="ann"), identify("guest", at=1, job="guest")
THE_MERGE = merge("ann", "guest", at=5, job="m")
CASES: dict[str, tuple[list[Job], tuple[str, str | None]]] = {
    "both users": ([ANN, GUEST], ("merge", None)),
    "an unknown primary": ([GUEST], ("merge", None)),
    "an unknown secondary": ([ANN], ("redirect", None)),
    "two unknown users": ([], ("redirect", None)),
    "a secondary that is identified later": ([ANN, identify("guest", at=6)], ("redirect", None)),
    "a secondary that was deleted before": ([ANN, GUEST, delete("guest", at=4)], ("redirect", None)),
    "the same merge before": ([ANN, GUEST, merge("ann", "guest", at=4)], ("nothing", MERGED_ALREADY)),
    "the same merge after": ([ANN, GUEST, merge("ann", "guest", at=6)], ("merge", None)),
    "the same by way of another": (
        [ANN, GUEST, merge("bo", "guest", at=3), merge("bo", "ann", at=4)],
        ("nothing", MERGED_ALREADY),
    ),
    "a merge of the secondary into another": ([ANN, GUEST, merge("bo", "guest", at=4)], ("nothing", MERGED_ELSEWHERE)),
    "a cycle": ([ANN, GUEST, merge("guest", "ann", at=4)], ("nothing", CYCLE)),
    "a longer cycle": (
        [ANN, GUEST, merge("bo", "ann", at=3), merge("guest", "bo", at=4)],
        ("nothing", CYCLE),
    ),
    "a delete between two merges": (
        [ANN, GUEST, merge("ann", "guest", at=3), delete("ann", at=4)],
        ("redirect", None),
    ),
    "a delete of the merged id, which does nothing": (
        [ANN, GUEST, merge("ann", "guest", at=3), delete("guest", at=4)],
        ("nothing", MERGED_ALREADY),
    ),
    "a later delete": ([ANN, GUEST, delete("ann", at=6)], ("merge", None)),
}


def arrive(subject: OnPostgres, *jobs: Job) -> None:
    for job in jobs:
        subject.store.apply([ReceivedJob.of(encode(job))], now=NOW)


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_rule_28_the_status_of_a_merge_says_what_it_did(
    case: str, is_last: bool, on_postgres: OnPostgres, rb: Rollbook
) -> None:
    others, expected = CASES[case]
    arrive(on_postgres, *([*others, THE_MERGE] if is_last else [THE_MERGE, *reversed(others)]))

    status = rb.jobs.get("m")

    assert (status.state, status.effect, status.reason) == ("applied", *expected)
    assert rb.jobs.wait("m", timeout=0) == status


def test_the_status_of_other_jobs_names_no_effect(on_postgres: OnPostgres, rb: Rollbook) -> None:
    arrive(on_postgres, ANN, delete("ann", at=6, job="delete"), merge("ann", "bo", at=400, job="later"))

    assert [rb.jobs.get(id_).effect for id_ in ("ann", "delete", "later", "unknown")] == [None] * 4


def test_rule_11_nothing_is_said_of_a_merge_of_erased_users(on_postgres: OnPostgres, rb: Rollbook) -> None:
    arrive(on_postgres, ANN, GUEST, THE_MERGE, delete("ann", at=6))

    on_postgres.store.cleanup.erase_deleted_users(now=NOW + 100 * DAY)

    status = rb.jobs.get("m")
    assert (status.state, status.effect, status.reason) == ("applied", None, None)
