"""An identify that is newer than everything of its identity cluster is applied by itself, and any other computes the
cluster anew: both lead to what the reference says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    add_push_token,
    bulk_identify,
    delete,
    identify,
    merge,
    set_channel_data,
    set_preferences,
    user,
)
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.jobs import Job, encode
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import first_difference

MERGED: Sequence[Job] = (
    identify("ann", at=1, name="Ann", plan="free", address={"zip": "8000"}),
    identify("guest", at=1, plus=1, plan="pro", seats=2, address={"city": "Zurich"}),
    merge("ann", "guest", at=2),
)


@pytest.fixture
def subject(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def send(subject: OnPostgres, jobs: Sequence[Job]) -> None:
    """Each job in a transaction of its own."""
    for job in jobs:
        arrive(subject, encode(job), now=NOW)


def reads_the_cluster(statements: Sequence[str]) -> bool:
    return any(line.startswith("SELECT id, cluster_root, profile") for line in statements)


def test_the_newest_update_of_a_bulk_job_is_applied_without_reading_the_cluster(
    subject: OnPostgres, statements: list[str]
) -> None:
    jobs = [*MERGED, bulk_identify(user("bo", plan="free"), user("guest", plan="team"), at=3, job="bulk")]
    send(subject, jobs[:-1])
    statements.clear()

    send(subject, jobs[-1:])

    assert not reads_the_cluster(statements)
    assert first_difference(subject.world(), oracle(jobs)) is None


@pytest.mark.parametrize("named", ["ann", "guest"])
@pytest.mark.parametrize("traits", [{}, {"plan": "team"}, {"address": None, "name": None}, {"new": {"a": [1.5, 2]}}])
def test_the_newest_identify_is_applied_without_reading_the_cluster(
    subject: OnPostgres, statements: list[str], named: str, traits: dict[str, Any]
) -> None:
    jobs = [*MERGED, identify(named, at=3, **traits)]
    send(subject, jobs[:-1])
    statements.clear()

    send(subject, jobs[-1:])

    assert not reads_the_cluster(statements)
    assert "WITH new AS (" in statements
    assert first_difference(subject.world(), oracle(jobs)) is None


@pytest.mark.servers
def test_a_write_takes_as_many_statements_with_fifty_ids_as_with_two(
    subject: OnPostgres, statements: list[str]
) -> None:
    send(subject, MERGED)
    taken = []
    for number in range(2):
        statements.clear()
        send(subject, [identify("guest", at=100 + number, plan=number)])
        taken.append(list(statements))
        send(subject, [merge("ann", f"other-{each}", at=50, plus=each) for each in range(48 * (number == 0))])

    assert taken[0] == taken[1]


ANEW: dict[str, tuple[Sequence[Job], Sequence[Job]]] = {
    "it is older than the user's newest change": (
        (*MERGED, identify("ann", at=9, plan="team")),
        (identify("guest", at=5, plan="late", seats=7),),
    ),
    "a later merge reached the user before it": (
        (identify("ann", at=1, name="Ann"), merge("ann", "guest", at=5)),
        (identify("guest", at=4, name="Bo", plan="pro"),),
    ),
    "a later merge names an id of the cluster as primary": (
        (*MERGED, merge("guest", "third", at=6)),
        (identify("third", at=5, plan="team", seats=3),),
    ),
    "a later delete took the user away": (
        (*MERGED, delete("ann", at=6)),
        (identify("ann", at=5, plan="team"),),
    ),
    "the user was deleted and does not exist": (
        (*MERGED, delete("ann", at=3)),
        (identify("ann", at=4, plan="team"),),
    ),
    "two ids of the user are identified at once": (
        MERGED,
        (bulk_identify(user("guest", plan="a", x=1), user("ann", plan="b"), at=3),),
    ),
    "the same id is identified twice at once": (
        MERGED,
        (bulk_identify(user("ann", plan="a", x=1), user("ann", plan="b"), at=3),),
    ),
    "it sets channel data": (
        (*MERGED, add_push_token("ann", "push", "t1", at=2, plus=1)),
        (identify("guest", at=3, channel_data={"push": {"tokens": ["t2"]}}),),
    ),
    "channel data is set, and nothing is identified": (
        MERGED,
        (set_channel_data("guest", "mail", {"a": 1}, at=3),),
    ),
    "it sets preferences": (
        MERGED,
        (identify("guest", at=3, preferences={"default": {"channel_types": {"email": False}}}),),
    ),
    "preferences are set at once with it": (
        MERGED,
        (
            set_preferences("guest", "default", {"channel_types": {"push": False}}, at=3),
            identify("ann", at=4, plan="b"),
        ),
    ),
    "a merge is applied at once with it": (
        (*MERGED, identify("third", at=2, seats=9)),
        (merge("ann", "third", at=3), identify("guest", at=4, plan="team")),
    ),
}


@pytest.mark.parametrize("why", ANEW)
def test_the_cluster_is_computed_anew_if(why: str, subject: OnPostgres, statements: list[str]) -> None:
    before, last = ANEW[why]
    send(subject, before)
    statements.clear()

    arrive(subject, *map(encode, last), now=NOW)

    assert reads_the_cluster(statements)
    assert first_difference(subject.world(), oracle([*before, *last])) is None


def test_a_later_merge_of_another_cluster_is_no_later_change(subject: OnPostgres, statements: list[str]) -> None:
    """Of other clusters neither: a merge that happens meanwhile elsewhere costs this user nothing."""
    before = (*MERGED, merge("x", "y", at=8))
    last = identify("guest", at=7, plan="team")
    send(subject, before)
    statements.clear()

    send(subject, [last])

    assert not reads_the_cluster(statements)
    assert first_difference(subject.world(), oracle([*before, last])) is None


@pytest.mark.parametrize(("events", "is_anew"), [(2, False), (3, True)])
def test_an_update_that_is_much_later_than_others_computes_the_cluster_anew(
    subject: OnPostgres,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
    events: int,
    is_anew: bool,
) -> None:
    """So it looks at no more deletes and merges of others than that takes."""
    monkeypatch.setattr("rollbook_worker.store.newest_updates.MOST_EVENTS", 2)
    before = (*MERGED, *(delete(f"other-{number}", at=8 + number) for number in range(events)))
    last = identify("guest", at=7, plan="team")
    send(subject, before)
    statements.clear()

    send(subject, [last])

    assert reads_the_cluster(statements) == is_anew
    assert first_difference(subject.world(), oracle([*before, last])) is None


def test_what_was_applied_by_itself_is_what_the_cluster_computes(subject: OnPostgres) -> None:
    jobs: list[Job] = [*MERGED]
    for at in range(3, 12):
        traits: dict[str, Any] = {f"k{at % 3}": at, "plan": at}
        jobs.append(identify("guest" if at % 2 else "ann", at=at, **traits))
    send(subject, jobs)
    applied = subject.world()["users"]["ann"]

    late = identify("guest", at=2, plus=1, only="then")  # older than the rest, so everything is computed
    send(subject, [late])

    assert subject.world()["users"]["ann"]["properties"] == {**applied["properties"], "only": "then"}
    assert first_difference(subject.world(), oracle([*jobs, late])) is None
