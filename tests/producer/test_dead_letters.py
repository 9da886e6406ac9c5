"""Rule 27: the client lists, reads, replays and drops dead letters, and a replay that fails loses none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
from tests.support.producer.applied_jobs import NOW, Applied
from tests.support.waits import DEADLINE_SECONDS

from rollbook import DeadLetterNotFound, InvalidRequest, JobStatus, JobTimeout, NotSent
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.codec import VERSION

AT: Final = microseconds(NOW - timedelta(days=1))


def message(id_: str | None = "it", **fields: Any) -> str:
    named = {} if id_ is None else {"id": id_}
    return json.dumps({"v": VERSION, **named, "kind": "identify", "occurred_at": AT, "user": {"id": "u1"}, **fields})


BAD: Final = message(user={"id": "u1", "traits": {"email": "ann"}})
GOOD: Final = {"id": "it", "kind": "identify", "occurred_at": AT, "user": {"id": "u1", "traits": {"plan": "pro"}}}


def dead(applied: Applied) -> list[tuple[str, str]]:
    return [(dead_letter.id, dead_letter.code) for dead_letter in applied.rb.jobs.list_dead_letters().items]


@contextmanager
def replaying(applied: Applied, *args: Any, **options: Any) -> Iterator[Future[JobStatus]]:
    """A replay under way, whose job has been sent."""
    with ThreadPoolExecutor(1) as other:
        future = other.submit(applied.rb.jobs.replay, *args, timeout=DEADLINE_SECONDS, **options)
        while not applied.sent and not future.done():
            threading.Event().wait(0.005)
        yield future


def test_dead_letters_are_listed_with_their_reasons_and_without_their_bodies(applied: Applied) -> None:
    applied.arrive(BAD)

    (dead_letter,) = applied.rb.jobs.list_dead_letters().items

    assert (dead_letter.id, dead_letter.kind, dead_letter.code, dead_letter.failed_at) == (
        "it",
        "identify",
        "invalid",
        NOW,
    )
    assert "e-mail" in dead_letter.reason
    assert dead_letter.body is None


def test_dead_letters_are_listed_page_by_page(applied: Applied) -> None:
    applied.arrive(*(message(f"j{number}", kind="remove") for number in range(5)))

    pages, after = [], None
    while True:
        page = applied.rb.jobs.list_dead_letters(limit=2, after=after)
        pages.append([dead_letter.id for dead_letter in page.items])
        if (after := page.after) is None:
            break

    assert pages == [["j4", "j3"], ["j2", "j1"], ["j0"]]


def test_a_dead_letter_is_shown_with_its_body(applied: Applied) -> None:
    applied.arrive(BAD)

    assert applied.rb.jobs.get_dead_letter("it").body == BAD


def test_an_unknown_dead_letter_is_not_found(applied: Applied) -> None:
    for call in (applied.rb.jobs.get_dead_letter, applied.rb.jobs.replay):
        with pytest.raises(DeadLetterNotFound):
            call("it")
    assert not applied.rb.jobs.drop("it")


def test_a_dropped_dead_letter_is_gone(applied: Applied) -> None:
    applied.arrive(BAD, message("other", kind="remove"))

    assert applied.rb.jobs.drop("it")
    assert dead(applied) == [("other", "unknown_kind")]


def test_keys_distinguish_dead_letters_of_one_id(applied: Applied) -> None:
    for plan in ("free", "pro", "team"):
        applied.rb.users.identify("u1", {"plan": plan}, job_id="it")
    applied.now()
    keys = {dead_letter.key for dead_letter in applied.rb.jobs.list_dead_letters().items}

    with pytest.raises(InvalidRequest, match="2 dead letters have this id") as rejected:
        applied.rb.jobs.drop("it")

    assert len(keys) == 2
    assert all(key in str(rejected.value) for key in keys)
    assert applied.rb.jobs.drop("it", key=keys.pop())
    assert applied.rb.jobs.drop("it")
    assert dead(applied) == []


@pytest.mark.parametrize("body", [GOOD, json.dumps(GOOD), json.dumps({"v": VERSION, **GOOD})], ids=type)
def test_a_corrected_job_is_replayed_with_the_time_when_it_happened(
    applied: Applied, body: str | dict[str, Any]
) -> None:
    applied.arrive(BAD)

    with replaying(applied, "it", body=body) as replay:
        assert dead(applied) == [("it", "invalid")]
        applied.now()

        assert replay.result(20).state == "applied"
    assert dead(applied) == []
    user = applied.rb.users.get("u1")
    assert (user.properties, microseconds(user.updated_at)) == ({"plan": "pro"}, AT)


def test_a_job_is_replayed_unchanged_once_the_workers_can_apply_it(
    applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job: object) -> object:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("rollbook_worker.store.postgres.facts_of", broken)
        applied.arrive(message())
    assert dead(applied) == [("it", "failed")]

    with replaying(applied, "it") as replay:
        applied.now()

        assert replay.result(20).state == "applied"
    assert dead(applied) == []


def test_a_replayed_job_that_fails_again_stays_a_dead_letter_and_the_status_says_so(
    applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("rollbook_worker.store.postgres.facts_of", broken)
    applied.arrive(message())

    with replaying(applied, "it") as replay:
        (again,) = applied.sent
        applied.later(timedelta(seconds=1))

        assert replay.result(20).state == "dead"
    assert again.id == "it"
    assert dead(applied) == [("it", "failed")]
    assert applied.rb.jobs.get_dead_letter("it").failed_at == NOW + timedelta(seconds=1)


def test_a_dead_letter_with_a_reused_id_needs_a_new_id(applied: Applied) -> None:
    for plan in ("free", "pro"):
        applied.rb.users.identify("u1", {"plan": plan}, job_id="it", occurred_at=NOW)
    applied.now()

    with pytest.raises(InvalidRequest, match="job_id: this job id is already used by another job"):
        applied.rb.jobs.replay("it")

    assert applied.sent == []
    with replaying(applied, "it", job_id="it-2") as replay:
        applied.now()
        status = replay.result(20)
    assert (status.id, status.state) == ("it-2", "applied")
    assert dead(applied) == []
    assert applied.rb.users.get("u1").properties == {"plan": "pro"}


def test_a_message_without_an_id_is_replayed_with_the_id_of_the_corrected_job(applied: Applied) -> None:
    applied.arrive(message(None))
    ((name, _),) = dead(applied)

    with replaying(applied, name, body=GOOD) as replay:
        applied.now()

        assert replay.result(20).id == "it"
    assert dead(applied) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "body: is no job that can be applied.*e-mail"),
        ({"body": "{"}, "body: is no job that can be applied.*not JSON"),
        ({"body": "[]"}, "body: is no job that can be applied.*not an object"),
        (
            {"body": json.dumps({**GOOD, "v": 2})},
            "body: is no job that can be applied.*does not know the job's version",
        ),
        ({"body": {**GOOD, "kind": "remove"}}, "body: is no job that can be applied.*kind"),
        ({"body": {**GOOD, "user": object()}}, "body: must be a job as JSON"),
        ({"body": {**GOOD, "kind": "bulk_identify", "users": [{"id": ""}]}}, "body"),
        ({"body": GOOD, "job_id": "a b"}, "job_id: must be text"),
    ],
)
def test_a_replay_that_would_fail_again_is_not_sent(applied: Applied, options: dict[str, Any], reason: str) -> None:
    applied.arrive(BAD)

    with pytest.raises(InvalidRequest, match=reason):
        applied.rb.jobs.replay("it", **options)

    assert applied.sent == []
    assert dead(applied) == [("it", "invalid")]


def test_a_dead_letter_stays_until_its_job_is_finished_and_can_be_replayed_again(applied: Applied) -> None:
    applied.arrive(BAD)

    with pytest.raises(JobTimeout):
        applied.rb.jobs.replay("it", body=GOOD, timeout=0)
    assert dead(applied) == [("it", "invalid")]
    applied.now()
    status = applied.rb.jobs.replay("it", body=GOOD, timeout=0)

    assert status.state == "applied"
    assert dead(applied) == []


def test_a_dead_letter_stays_if_the_broker_does_not_take_its_job(applied: Applied) -> None:
    applied.arrive(BAD)
    applied.break_broker()

    with pytest.raises(NotSent):
        applied.rb.jobs.replay("it", body=GOOD)

    assert dead(applied) == [("it", "invalid")]


def test_a_job_can_be_waited_for_by_its_id(applied: Applied) -> None:
    applied.rb.users.identify("u1", job_id="it")
    with pytest.raises(JobTimeout):
        applied.rb.jobs.wait("it", timeout=0)
    applied.now()

    assert applied.rb.jobs.wait("it", timeout=0).state == "applied"


def test_the_status_of_a_bulk_job_has_counts_and_the_reason_for_each_rejected_user(applied: Applied) -> None:
    users = [{"id": "a"}, {"id": ""}, {"id": "b"}]
    applied.arrive(message(kind="bulk_identify", users=users).replace('"user": {"id": "u1"}, ', ""))

    status = applied.rb.jobs.get("it")

    assert (status.state, status.applied, len(status.rejected)) == ("applied", 2, 1)
    rejected = status.rejected[0]
    assert (rejected.index, rejected.field, rejected.code, rejected.reason) == (
        1,
        "users[1].id",
        "invalid",
        "must not be empty",
    )


def test_a_bulk_job_without_a_valid_user_is_rejected_with_a_reason(applied: Applied) -> None:
    applied.arrive(message(kind="bulk_identify", users=[{"id": ""}]).replace('"user": {"id": "u1"}, ', ""))

    status = applied.rb.jobs.get("it")

    assert (status.state, status.code, status.applied, status.is_final) == ("rejected", "invalid", 0, True)
    assert status.reason
