"""The rows that a batch becomes: those of its facts, the newest of each slot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import bulk_identify, delete, identify, unset_channel_data, user
from tests.support.conflicting_jobs import job_sets
from tests.support.example_counts import examples
from tests.support.facts import single_facts_of

from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import BulkIdentify, Identify, Job, UserUpdate
from rollbook_shared.jobs.plain_users import PlainUsers
from rollbook_worker.core import UsersUpdated, facts_of, join
from rollbook_worker.store.rows import TableRows, rows_of


@examples(200)
@given(job_sets, st.data())
def test_user_updates_make_the_same_rows_as_their_single_facts(jobs: list[Job], data: st.DataObject) -> None:
    facts = data.draw(st.permutations([fact for job in jobs for fact in facts_of(job)]))
    single_facts = join({}, (fact for job in jobs for fact in single_facts_of(job))).values()

    assert _as_written(rows_of(facts)) == _as_written(rows_of(single_facts))


@examples(200)
@given(job_sets)
def test_decoded_jobs_make_the_same_rows(jobs: list[Job]) -> None:
    """Of a decoded bulk job the users may be in another form."""
    decoded = [decode(encode(job)) for job in jobs]

    assert _as_written(_rows(decoded)) == _as_written(_rows(jobs))


@examples(200)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3)), min_size=1), min_size=1), st.data())
def test_plain_users_of_bulk_jobs_make_the_rows_of_any_others(
    jobs: list[list[tuple[str, int]]], data: st.DataObject
) -> None:
    made: list[Job] = [
        BulkIdentify(
            id=f"j{number}",
            occurred_at=5,
            users=tuple(UserUpdate(id=id_, traits={"n": at}) for id_, at in users),
            timestamps=data.draw(st.just(()) | st.just(tuple(at for _, at in users))),
        )
        for number, users in enumerate(jobs)
    ]
    if data.draw(st.booleans()):
        made.append(delete(data.draw(st.sampled_from("abcdefghi")), at=1))
    decoded = [decode(encode(job)) for job in made]

    rows = _rows(decoded)

    assert all(isinstance(job.users, PlainUsers) for job in decoded if isinstance(job, BulkIdentify))
    assert _as_written(rows) == _as_written(_rows(made))
    assert rows.user_ids == sorted(set(rows.user_ids))


def test_users_of_decoded_bulk_jobs_with_one_update_each_are_plain() -> None:
    jobs = [bulk_identify(user("b", plan="pro"), user("d"), at=1, job="i"), bulk_identify(user("a"), at=2, job="j")]

    rows = _rows([decode(encode(job)) for job in jobs])

    assert [(id_, profile) for id_, _, profile in rows.plain_users] == [
        ("a", b"{}"),
        ("b", b'{"p.plan":"pro"}'),
        ("d", b"{}"),
    ]
    assert rows.users == []
    (expected,) = [
        row for row in rows_of(fact for job in jobs for fact in single_facts_of(job)).users if row["id"] == "b"
    ]
    assert list(rows.rows_of_users({"b", "c"})) == [expected]


def test_users_of_identifies_are_plain_if_each_has_one_update() -> None:
    jobs = [identify("b", at=2, name="Bob", n=1 << 70), identify("a", at=1)]

    assert [(id_, profile) for id_, _, profile in _rows(jobs).plain_users] == [
        ("a", b"{}"),
        ("b", b'{"a.name":"Bob","p.n":1180591620717411303424}'),
    ]
    assert not _rows([*jobs, identify("a", at=3)]).plain_users
    assert not _rows([*jobs, unset_channel_data("c", "push", at=3)]).plain_users
    assert not _rows([*jobs, delete("c", at=3)]).plain_users


@pytest.mark.parametrize("timestamps", [(), (3, 1, 2)])
def test_users_updated_together_are_as_early_as_the_first(timestamps: tuple[int, ...]) -> None:
    users = tuple(UserUpdate(id=id_) for id_ in "abc")
    job = BulkIdentify(id="j", occurred_at=3, users=users, timestamps=timestamps)

    (fact,) = facts_of(decode(encode(job)))

    assert isinstance(fact, UsersUpdated)
    assert list(fact.updates()) == list(facts_of(job))
    assert fact.stamp == min(update.stamp for update in fact.updates())


def test_a_user_updated_once_has_one_stamp_for_all_keys() -> None:
    (row,) = rows_of(facts_of(identify("a", plan="pro", name="Ann", at=1))).rows_of_users("a")

    assert row["profile"] == {"p.plan": "pro", "a.name": "Ann"}
    assert row["base_stamp"] == row["first_identified"] == row["last_stamp"]
    assert (row["key_stamps"], row["identify_stamps"]) == ({}, "")


def test_a_user_updated_several_times_has_the_earliest_stamp_as_base() -> None:
    jobs = [Identify(id=f"j{at}", occurred_at=at, user=_user_update(**{f"k{at}": at})) for at in (2, 1, 3)]

    (row,) = rows_of(fact for job in jobs for fact in facts_of(job)).users

    assert row["profile"] == {"p.k1": 1, "p.k2": 2, "p.k3": 3, "p.every": 0}
    assert row["base_stamp"] == row["first_identified"] < min(row["key_stamps"].values())
    assert row["key_stamps"].keys() == {"p.k2", "p.k3", "p.every"}
    assert row["last_stamp"] == row["key_stamps"]["p.every"] == row["key_stamps"]["p.k3"]
    assert len(row["identify_stamps"].split()) == 2


def test_users_are_in_id_order_whatever_the_order_of_facts() -> None:
    job = bulk_identify(user("é"), user("b"), user("a"), user("Z"), user("\U0001f600"), at=1, job="it")

    assert rows_of(facts_of(job)).user_ids == ["Z", "a", "b", "é", "\U0001f600"]


def _rows(jobs: Iterable[Job]) -> TableRows:
    return rows_of(fact for job in jobs for fact in facts_of(job))


def _user_update(**traits: int) -> UserUpdate:
    return UserUpdate(id="a", traits={**traits, "every": 0})


def _as_written(rows: TableRows) -> dict[str, Any]:
    """By table, whatever the order; of a user the stamp of every key."""
    users = {
        row["id"]: {
            **row,
            "base_stamp": None,
            "key_stamps": {key: row["key_stamps"].get(key, row["base_stamp"]) for key in row["profile"]},
        }
        for row in [*rows.users, *rows.rows_of_users({user[0] for user in rows.plain_users})]
    }
    tables = (
        "preference_sets",
        "lifecycle_events",
        "triggers",
        "activities",
        "messages",
        "engagements",
        "channel_engagements",
    )
    return {"users": users} | {table: sorted(map(str, getattr(rows, table))) for table in tables}
