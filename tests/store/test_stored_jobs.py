"""Rule 11 for what is stored as text: erasure takes a user out of deferred jobs and dead letters, and no other user."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import NOW, bulk_delete, bulk_identify, day, delete, identify, merge, trigger, user
from tests.support.example_counts import examples
from tests.support.stores import OnPostgres, arrive
from tests.support.table_contents import tables_with

from rollbook import Rollbook
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job, UserUpdate
from rollbook_worker.store import PostgresStore, ReceivedJob
from rollbook_worker.store.cleanup import MAX_UNNAMED_RETENTION
from rollbook_worker.store.retry import Blocked

HOSTILE_IDS: Final = (
    *("ann", "ann2", "an", "ANN", "zoë", "zoe\u0308", "李", "😀", "\u202eann"),
    *("kind", "users", "user_id", "identify", "id", "v", "null", "true", "1", "0", "in_app", "erased"),
    *('o"brien', "o'brien", "back\\slash", "\\u0041", "{", '["x"]', " ", "a b", "\x7f", "tab\t", "line\n", "%", "_"),
)
"""Ids that are words of our JSON, parts of others, the same to a reader, or in need of an escape."""
DELETED_AT: Final = day(5)


@pytest.fixture
def store(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


def deferred(job: Job, requested_at: int | None = day(4)) -> str:
    """The text of the job, to take effect on day 20."""
    return encode(job.model_copy(update={"occurred_at": day(20), "deferred": True, "requested_at": requested_at}))


def changed(text: str, **fields: Any) -> str:
    return json.dumps({**json.loads(text), **fields})


def delete_and_erase(store: OnPostgres, user_id: str) -> None:
    arrive(store, encode(delete(user_id, at=5, job="the-delete")), now=DELETED_AT)
    store.store.cleanup.erase_deleted_users(now=day(6, 1))


def bodies(store: OnPostgres) -> dict[str, str]:
    """The stored texts by job id."""
    dead = store.connection.execute("SELECT id, body FROM rollbook.dead_letters").fetchall()
    waiting = store.connection.execute("SELECT id, body FROM rollbook.deferred_jobs").fetchall()
    return {id_: bytes(body).decode(errors="replace") for id_, body in dead} | dict(waiting)


def named(store: OnPostgres) -> dict[str, set[str]]:
    """The users whom the stored texts name, by job id."""
    rows = store.connection.execute(
        "SELECT id, user_ids FROM rollbook.dead_letters UNION ALL SELECT id, user_ids FROM rollbook.deferred_jobs"
    )
    return {id_: set(user_ids) for id_, user_ids in rows}


def finished(store: OnPostgres) -> dict[str, set[str]]:
    """The users whom rejected and cancelled jobs name, by job id."""
    rows = store.connection.execute("SELECT id, user_ids FROM rollbook.jobs WHERE user_ids IS NOT NULL")
    return {id_: set(user_ids) for id_, user_ids in rows}


def cancel_all(store: OnPostgres) -> None:
    with Rollbook(database_url=store.url) as rb:
        for (id_,) in store.connection.execute("SELECT id FROM rollbook.deferred_jobs").fetchall():
            assert rb.jobs.cancel(id_)


def marked(user_id: str) -> UserUpdate:
    """A user with a text that is in no other."""
    return user(user_id, note=mark_of(user_id))


def mark_of(user_id: str) -> str:
    return f"MARK-{user_id.encode().hex()}-"


def celery_message(text: str) -> str:
    """A job within the JSON of a Celery message within that of the broker."""
    body = b64encode(json.dumps([[text, "more"], {}, {}]).encode()).decode()
    return json.dumps({"body": body, "properties": {"body_encoding": "base64"}, "headers": {"lang": "py"}})


LIST_JOBS: Final[dict[str, Callable[[str, Sequence[str]], Job]]] = {
    "bulk identify": lambda job, ids: bulk_identify(*map(marked, ids), at=4, job=job),
    "trigger": lambda job, ids: trigger("hello", list(map(marked, ids)), at=4, job=job),
    "trigger with an actor": lambda job, ids: trigger("hello", ids[1:] or ids, at=4, job=job, actor=marked(ids[0])),
}
"""Jobs that can lose a user."""
WHOLE_TEXTS: Final[dict[str, Callable[[str, str], str]]] = {
    "one user": lambda job, id_: encode(identify(id_, at=4, job=job, note=mark_of(id_))),
    "a later version": lambda job, id_: changed(encode(identify(id_, at=4, job=job, note=mark_of(id_))), v=2),
    "a later kind": lambda job, id_: json.dumps(
        {"v": 1, "id": job, "kind": "rename", "occurred_at": day(4), "of": {"user_id": id_, "note": mark_of(id_)}}
    ),
    "a bad field": lambda job, id_: changed(encode(identify(id_, at=4, job=job, note=mark_of(id_))), more=1),
    "a key twice": lambda job, id_: (
        encode(identify("bo", at=4, job=job))[:-1] + f', "user": {json.dumps({"id": id_, "x": mark_of(id_)})}, "x": 1}}'
    ),
    "cut off": lambda job, id_: encode(identify(id_, at=4, job=job, note=mark_of(id_)))[:-8],
    "not JSON": lambda job, id_: f"order of {json.dumps(id_)} for {mark_of(id_)}: {{'a'}}",
    "a message of another application": lambda job, id_: json.dumps([[id_, mark_of(id_)], {}, {"callbacks": None}]),
    "JSON within JSON": lambda job, id_: celery_message(encode(identify(id_, at=4, job=job, note=mark_of(id_)))),
}
"""Dead letters that go as a whole."""


@examples(30)
@given(
    ids=st.lists(st.sampled_from(HOSTILE_IDS), min_size=2, max_size=5, unique=True),
    kind=st.sampled_from(sorted(LIST_JOBS)),
    is_deferred=st.booleans(),
)
def test_a_job_of_several_users_loses_the_erased_one_and_no_other(
    ids: list[str], kind: str, is_deferred: bool, on_postgres: OnPostgres
) -> None:
    on_postgres.reset()
    victim, *others = ids
    job = LIST_JOBS[kind]("several", ids)
    text = deferred(job) if is_deferred else encode(job)
    arrive(on_postgres, *([] if is_deferred else [encode(bulk_delete("cy", at=3, job="several"))]), text, now=day(4, 1))
    assert mark_of(victim) in bodies(on_postgres)["several"]

    delete_and_erase(on_postgres, victim)

    assert tables_with(on_postgres, mark_of(victim)) == []
    left = ReceivedJob.of(bodies(on_postgres)["several"]).job
    unknown = {id_ for id_ in left.user_ids if id_.startswith("erased-")}  # type: ignore[union-attr]
    assert set(left.user_ids) - unknown == set(others)  # type: ignore[union-attr]
    assert bool(unknown) == (kind == "trigger with an actor")
    assert named(on_postgres)["several"] == set(others) | unknown
    if kind != "trigger with an actor":
        assert all(mark_of(other) in bodies(on_postgres)["several"] for other in others)


@examples(60)
@given(
    victim=st.sampled_from(HOSTILE_IDS),
    other=st.sampled_from(HOSTILE_IDS),
    what=st.sampled_from(sorted(WHOLE_TEXTS)),
)
def test_a_dead_letter_about_an_erased_user_goes_and_that_of_another_stays(
    victim: str, other: str, what: str, on_postgres: OnPostgres
) -> None:
    on_postgres.reset()
    texts = [WHOLE_TEXTS[what](f"of-{number}", id_) for number, id_ in enumerate(dict.fromkeys([victim, other]))]
    first = [encode(bulk_delete("cy", at=3, job=f"of-{number}")) for number in range(len(texts))]
    arrive(on_postgres, *first, *texts, now=day(4, 1))
    assert len(bodies(on_postgres)) == len(texts)

    delete_and_erase(on_postgres, victim)

    assert tables_with(on_postgres, mark_of(victim)) == []
    assert list(bodies(on_postgres).values()) == texts[1:]


@pytest.mark.parametrize("is_rejected", [False, True])
@examples(30)
@given(ids=st.lists(st.sampled_from(HOSTILE_IDS), min_size=1, max_size=4, unique=True))
def test_a_finished_job_loses_the_erased_user_and_no_other(
    is_rejected: bool, ids: list[str], on_postgres: OnPostgres
) -> None:
    on_postgres.reset()
    job = bulk_identify(*map(user, ids), at=4, job="several")
    text = changed(encode(job), users=[{"id": id_, "name": 1} for id_ in ids]) if is_rejected else deferred(job)
    arrive(on_postgres, text, now=day(4))
    cancel_all(on_postgres)
    assert finished(on_postgres) == {"several": set(ids)}

    delete_and_erase(on_postgres, ids[0])

    assert finished(on_postgres) == ({"several": set(ids[1:])} if ids[1:] else {})


def test_a_job_that_erasure_cancels_still_names_the_others(store: OnPostgres) -> None:
    arrive(store, deferred(merge("bo", "ann", at=4, job="merge")), now=day(4))

    delete_and_erase(store, "ann")

    assert finished(store) == {"merge": {"bo"}}


@pytest.mark.parametrize(("requested_at", "left"), [(day(4), {}), (day(5, 1), {"later": {"ann"}})])
def test_a_cancelled_job_counts_by_when_it_was_asked_for(
    store: OnPostgres, requested_at: int, left: dict[str, set[str]]
) -> None:
    arrive(store, encode(delete("ann", at=5)), now=day(5))
    arrive(store, deferred(identify("ann", at=5, job="later"), requested_at), now=day(5, 2))
    cancel_all(store)

    store.store.cleanup.erase_deleted_users(now=day(6, 1))

    assert finished(store) == left


def test_a_rejected_job_that_arrives_after_the_erasure_goes_with_the_next(store: OnPostgres) -> None:
    delete_and_erase(store, "ann")

    late = changed(encode(bulk_identify(user("ann"), at=4, job="late")), users=[{"id": "ann", "x": 1}])
    arrive(store, late, now=day(8))
    assert finished(store) == {"late": {"ann"}}
    store.store.cleanup.erase_deleted_users(now=day(8, 1))

    assert tables_with(store, "ann") == []


def test_applied_jobs_name_no_users(store: OnPostgres) -> None:
    arrive(store, encode(identify("ann", at=4)), deferred(identify("ann", at=4, job="later")), now=day(4))
    store.release_due(now=day(21))

    assert finished(store) == {}


def test_a_receipt_counts_finished_jobs(store: OnPostgres) -> None:
    arrive(store, deferred(identify("ann", at=4, job="later")), now=day(4))
    cancel_all(store)

    delete_and_erase(store, "ann")

    receipts = store.connection.execute("SELECT erased FROM rollbook.erasure_receipts").fetchall()
    assert receipts == [({"users": 1, "jobs": 1},)]


def test_a_deferred_trigger_still_reaches_the_others_and_shows_a_missing_actor(store: OnPostgres) -> None:
    arrive(store, encode(identify("bo", at=1, job="j1")), encode(identify("marked", at=1, job="j2")), now=day(1))
    job = trigger("hello", ["marked", "bo"], at=4, job="later", actor="marked")
    arrive(store, deferred(job), now=day(4))
    delete_and_erase(store, "marked")

    store.release_due(now=day(21))

    assert tables_with(store, "marked") == []
    messages = store.world()["messages"].values()
    assert [(message["owner"], message["missing_actor"]) for message in messages] == [("bo", True)]
    again = arrive(store, deferred(job), now=day(21))
    assert [outcome.state for outcome in again] == ["duplicate"]


def test_a_deferred_job_about_an_erased_user_is_cancelled_and_never_takes_effect(store: OnPostgres) -> None:
    job = deferred(identify("ann", at=4, job="later", plan="free"))
    arrive(store, job, deferred(merge("bo", "ann", at=4, job="merge")), now=day(4))

    delete_and_erase(store, "ann")

    assert store.deferred() == []
    assert {id_: state for id_, (state, _, _) in store.ledger().items() if id_ in ("later", "merge")} == {
        "later": "cancelled",
        "merge": "cancelled",
    }
    assert [outcome.state for outcome in arrive(store, job, now=day(7))] == ["duplicate"]
    assert store.release_due(now=day(21)) == 0
    assert store.world()["users"] == {}


@pytest.mark.parametrize("requested_at", [day(5, 1), None])
def test_a_deferred_job_asked_for_after_the_delete_stays(store: OnPostgres, requested_at: int | None) -> None:
    arrive(store, encode(delete("ann", at=5)), now=day(5))
    arrive(store, deferred(identify("ann", at=5, job="later", plan="new"), requested_at), now=day(5, 2))

    store.store.cleanup.erase_deleted_users(now=day(6, 1))
    store.release_due(now=day(21))

    assert store.world()["users"]["ann"]["properties"] == {"plan": "new"}


def test_a_deferred_job_asked_for_before_the_delete_goes_although_it_was_stored_after_it(store: OnPostgres) -> None:
    arrive(store, encode(delete("ann", at=5)), now=day(5))
    arrive(store, deferred(identify("ann", at=4, job="later", plan="old"), day(5, -1)), now=day(5, 2))

    store.store.cleanup.erase_deleted_users(now=day(6, 1))

    assert store.deferred() == []


def test_a_dead_letter_from_after_the_delete_stays(store: OnPostgres) -> None:
    later = changed(encode(identify("ann", at=5, plus=1, job="new", plan="new")), more=1)
    arrive(store, encode(delete("ann", at=5)), later, now=day(5, 2))

    store.store.cleanup.erase_deleted_users(now=day(6, 1))

    assert store.dead() == [("new", "invalid")]


@pytest.mark.parametrize(("failed_at", "left"), [(day(5, 1), 0), (day(6, 1), 1)])
def test_a_dead_letter_without_a_time_counts_by_its_arrival(store: OnPostgres, failed_at: int, left: int) -> None:
    arrive(store, encode(delete("ann", at=5)), now=day(5))
    arrive(store, '{"user_id": "ann"}', now=failed_at)

    store.store.cleanup.erase_deleted_users(now=day(7))

    assert len(store.dead()) == left


@pytest.mark.parametrize(
    "late",
    [
        changed(encode(identify("ann", at=4, job="late", note="marked")), more=1),
        deferred(identify("ann", at=4, job="late", note="marked")),
    ],
    ids=["dead letter", "deferred job"],
)
def test_a_text_that_arrives_after_the_erasure_goes_with_the_next(store: OnPostgres, late: str) -> None:
    delete_and_erase(store, "ann")

    arrive(store, late, now=day(8))
    assert tables_with(store, "marked") != []
    store.store.cleanup.erase_deleted_users(now=day(8, 1))

    assert tables_with(store, "marked") == []
    assert tables_with(store, "ann") == []


def test_a_receipt_counts_stored_jobs(store: OnPostgres) -> None:
    arrive(store, deferred(trigger("hello", ["ann", "bo"], at=4, job="later")), '{"user_id": "ann"}', now=day(4))

    delete_and_erase(store, "ann")

    receipts = store.connection.execute("SELECT erased FROM rollbook.erasure_receipts").fetchall()
    assert receipts == [({"users": 1, "deferred_jobs": 1, "dead_letters": 1},)]


def test_many_texts_of_one_user_are_all_erased(store: OnPostgres) -> None:
    waiting = [deferred(trigger("hello", ["marked", "bo"], at=4, job=f"later-{n}")) for n in range(25)]
    arrive(store, *waiting, *(f'{{"user_id": "marked", "n": {n}}}' for n in range(25)), now=day(4))

    delete_and_erase(store, "marked")

    assert len(bodies(store)) == 25
    assert tables_with(store, "marked") == []


def test_erasure_does_not_wait_for_a_deferred_job_that_is_being_released(store: OnPostgres) -> None:
    """The dispatcher holds the job's row, and may wait for the user's, which erasure holds."""
    arrive(store, deferred(identify("ann", at=4, job="later")), encode(delete("ann", at=5)), now=day(5))
    unhurried = PostgresStore(store.url, lock_timeout=timedelta(minutes=5), statement_timeout=timedelta(minutes=5))

    with psycopg.connect(store.url) as dispatcher:
        dispatcher.execute("SELECT FROM rollbook.deferred_jobs FOR UPDATE")
        with pytest.raises(Blocked):
            unhurried.cleanup.erase_deleted_users(now=day(6, 1))
    unhurried.cleanup.erase_deleted_users(now=day(6, 1))
    unhurried.close()

    assert store.deferred() == []


def test_texts_are_found_by_an_index(store: OnPostgres) -> None:
    store.connection.execute(
        "INSERT INTO rollbook.dead_letters (id, digest, code, reason, body, user_ids, failed_at)"
        " SELECT 'j' || n, 'x', 'invalid', '', '', ARRAY['u' || n], now() FROM generate_series(1, 2000) AS n"
    )
    store.connection.execute("ANALYZE rollbook.dead_letters")

    plan = store.connection.execute(
        'EXPLAIN SELECT FROM json_to_recordset(\'[{"id": "u7"}]\') AS n (id text)'
        " JOIN rollbook.dead_letters AS d ON d.user_ids @> ARRAY[n.id]"
    ).fetchall()

    assert any("dead_letters_users" in line for (line,) in plan), plan


def test_a_dead_letter_that_names_no_user_is_kept_for_a_bounded_time(on_postgres: OnPostgres) -> None:
    on_postgres.reset()
    store = PostgresStore(on_postgres.url, dead_letter_retention=timedelta(days=365))
    arrive(on_postgres, "no job at all", '{"user_id": "ann"}', now=NOW)
    after = NOW + MAX_UNNAMED_RETENTION // timedelta(microseconds=1)

    assert store.cleanup.prune_dead_letters(now=after) == 0
    assert store.cleanup.prune_dead_letters(now=after + 1) == 1

    store.close()
    assert list(named(on_postgres).values()) == [{"ann"}]


def test_what_is_stored_says_when_it_was_asked_for(store: OnPostgres) -> None:
    texts = [deferred(identify("ann", at=4, job="a"), day(3)), deferred(identify("ann", at=4, job="b"), None)]
    arrive(store, *texts, encode(identify("ann", at=900, job="c")), now=day(10))

    rows = store.connection.execute("SELECT id, requested_at FROM rollbook.deferred_jobs ORDER BY id").fetchall()

    assert rows == [("a", day(3)), ("b", day(10)), ("c", day(10))]
