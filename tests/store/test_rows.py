"""The rows that a batch becomes: those of its facts, the newest of each slot."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import bulk_identify, identify, user
from tests.support.conflicting_jobs import job_sets
from tests.support.example_counts import examples
from tests.support.facts import single_facts_of

from rollbook_shared.jobs.models import Identify, Job, UserUpdate
from rollbook_worker.core import facts_of, join
from rollbook_worker.store.rows import TableRows, rows_of


@examples(200)
@given(job_sets, st.data())
def test_user_updates_make_the_same_rows_as_their_single_facts(jobs: list[Job], data: st.DataObject) -> None:
    facts = data.draw(st.permutations([fact for job in jobs for fact in facts_of(job)]))
    single_facts = join({}, (fact for job in jobs for fact in single_facts_of(job))).values()

    assert _as_written(rows_of(facts)) == _as_written(rows_of(single_facts))


def test_a_user_updated_once_has_one_stamp_for_all_keys() -> None:
    (row,) = rows_of(facts_of(identify("a", plan="pro", name="Ann", at=1))).users

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
        for row in rows.users
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
