"""A few identifies are entered and applied by one statement, with the same result as by two."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.support.builders import NOW, delete, identify, merge
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import user_columns


@pytest.fixture
def subject(on_postgres: OnPostgres) -> OnPostgres:
    """A store that keeps nothing yet."""
    on_postgres.reset()
    return on_postgres


def apply(subject: OnPostgres, *jobs: Job) -> list[str]:
    return [outcome.state.value for outcome in arrive(subject, *map(encode, jobs), now=NOW)]


def rows(subject: OnPostgres) -> list[Any]:
    statement = "SELECT u.*::text FROM rollbook.users AS u ORDER BY id"
    return subject.connection.execute(statement).fetchall()


def test_a_job_whose_id_was_used_before_writes_no_user(subject: OnPostgres) -> None:
    apply(subject, identify("ann", at=1, job="j", plan="pro"))

    assert apply(subject, identify("bo", at=1, job="j"), identify("cy", at=1, job="k")) == ["dead", "applied"]
    assert apply(subject, identify("ann", at=2, job="j", plan="free")) == ["dead"]

    assert set(subject.world()["users"]) == {"ann", "cy"}


def test_a_job_that_is_delivered_again_changes_no_row(subject: OnPostgres) -> None:
    early, late = identify("ann", at=1, plan="free"), identify("ann", at=2, plan="pro")
    apply(subject, late)
    apply(subject, early)
    before = rows(subject)

    assert apply(subject, early) == ["duplicate"]
    assert apply(subject, late, identify("bo", at=1)) == ["duplicate", "applied"]

    assert rows(subject)[:1] == before


def test_of_two_jobs_of_one_user_the_one_that_is_new_is_applied(subject: OnPostgres) -> None:
    older, newer = identify("ann", at=1, a=1), identify("ann", at=2, b=2)
    apply(subject, newer)

    assert apply(subject, older, newer) == ["applied", "duplicate"]

    assert subject.world()["users"]["ann"]["properties"] == {"a": 1, "b": 2}


@pytest.mark.parametrize("id_", ["a", "Az09._:-" * 16])
def test_jobs_are_applied_whatever_their_ids_look_like(subject: OnPostgres, id_: str) -> None:
    assert apply(subject, identify("ann", at=1, job=id_, plan="pro")) == ["applied"]

    assert [row for row in rows(subject) if "pro" in str(row)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_rows_are_those_of_two_statements(subject: OnPostgres, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def apply_all() -> list[Any]:
        subject.reset()
        chance = random.Random(seed)
        apply(subject, merge("u0", "u1", at=3, job="m"), delete("u2", at=4, job="d"))
        jobs = [
            identify(f"u{chance.randrange(6)}", at=chance.randrange(9), job=f"j{number}", a=number, b=number % 3)
            if chance.random() < 0.5
            else identify(f"u{chance.randrange(6)}", at=chance.randrange(9), job=f"j{number}", c=number)
            for number in range(60)
        ]
        deliveries = [*jobs, *chance.sample(jobs, 30)]
        chance.shuffle(deliveries)
        while deliveries:
            size = chance.randrange(1, 5)
            apply(subject, *deliveries[:size])
            del deliveries[:size]
        return rows(subject)

    by_one = apply_all()
    monkeypatch.setattr(user_columns, "MAX_IDENTIFIES", 0)

    assert apply_all() == by_one
