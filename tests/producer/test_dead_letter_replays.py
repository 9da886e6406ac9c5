"""Replays of dead letters: of two at once one wins, an edited body is checked as a new job, and many go at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from tests.support.producer.applied_jobs import NOW, Applied
from tests.support.waits import DEADLINE_SECONDS

from rollbook import DeadLetterNotFound, InvalidRequest, JobTimeout, NotSent, ReplayConflict
from rollbook.queries import dead_letters
from rollbook_shared.domain.stamps import microseconds
from rollbook_shared.jobs.codec import VERSION

AT: Final = microseconds(NOW - timedelta(days=1))


def message(id_: str, **fields: Any) -> str:
    return json.dumps({"v": VERSION, "id": id_, "kind": "identify", "occurred_at": AT, "user": {"id": "u1"}, **fields})


def bad(id_: str = "it") -> str:
    return message(id_, user={"id": "u1", "traits": {"email": "ann"}})


def good(id_: str = "it", **traits: Any) -> dict[str, Any]:
    return {"id": id_, "kind": "identify", "occurred_at": AT, "user": {"id": "u1", "traits": {"plan": "pro", **traits}}}


def dead(applied: Applied) -> set[tuple[str, str]]:
    return {(dead_letter.id, dead_letter.code) for dead_letter in applied.rb.jobs.list_dead_letters().items}


def kill(applied: Applied, monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    """Let jobs die that would be applied now."""

    def broken(job: object) -> object:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("rollbook_worker.store.postgres.facts_of", broken)
        applied.arrive(*(message(id_) for id_ in ids))


@contextmanager
def under_way(applied: Applied, call: Callable[[], Any], jobs: int = 1) -> Iterator[Future[Any]]:
    """A replay that has sent its jobs."""
    with ThreadPoolExecutor(1) as other:
        future = other.submit(call)
        while len(applied.sent) < jobs and not future.done():
            threading.Event().wait(0.005)
        yield future


def test_of_two_replays_of_one_dead_letter_one_wins(applied: Applied) -> None:
    applied.arrive(bad())
    first = lambda: applied.rb.jobs.replay("it", body=good(), timeout=DEADLINE_SECONDS)  # noqa: E731

    with under_way(applied, first) as replay:
        with pytest.raises(ReplayConflict) as conflict:
            applied.rb.jobs.replay("it", body=good(plan="free"))
        assert [job.id for job in applied.sent] == ["it"]
        assert conflict.value.dead_letter_id == "it"
        applied.now()

        assert replay.result(DEADLINE_SECONDS).state == "applied"
    assert applied.rb.users.get("u1").properties == {"plan": "pro"}
    with pytest.raises(DeadLetterNotFound):
        applied.rb.jobs.replay("it", body=good(plan="free"))


def test_a_dead_letter_that_is_replayed_cannot_be_dropped(applied: Applied) -> None:
    applied.arrive(bad())
    call = lambda: applied.rb.jobs.replay("it", body=good(), timeout=DEADLINE_SECONDS)  # noqa: E731

    with under_way(applied, call) as replay:
        with pytest.raises(ReplayConflict):
            applied.rb.jobs.drop("it")
        assert applied.rb.jobs.drop_dead_letters("invalid") == 0
        assert applied.rb.jobs.replay_dead_letters("invalid", timeout=0).after is None
        applied.now()
        replay.result(DEADLINE_SECONDS)
    assert dead(applied) == set()


def test_a_replay_that_fails_gives_its_dead_letter_back(applied: Applied) -> None:
    applied.arrive(bad())

    with pytest.raises(JobTimeout):
        applied.rb.jobs.replay("it", body=good(), timeout=0)
    applied.break_broker()
    with pytest.raises(NotSent):
        applied.rb.jobs.replay("it", body=good())
    applied.forget()
    with pytest.raises(JobTimeout):
        applied.rb.jobs.replay("it", body=good(), timeout=0)

    assert dead(applied) == {("it", "invalid")}
    assert applied.rb.jobs.drop("it")


def test_what_a_replay_held_that_died_is_free_after_a_while(applied: Applied) -> None:
    applied.arrive(bad())
    held = "UPDATE rollbook.dead_letters SET replaying_until = now() + interval '1 hour' * %s"
    with psycopg.connect(applied.database_url, autocommit=True) as connection:
        connection.execute(held, (1,))
        with pytest.raises(ReplayConflict):
            applied.rb.jobs.replay("it", body=good())
        connection.execute(held, (-1,))

    assert applied.rb.jobs.drop("it")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"occurred_at": microseconds(NOW + timedelta(hours=1))}, "body.occurred_at"),
        ({"user": {"id": "u1", "traits": {"text": "x" * 300_000}}}, "body.user.properties"),
        ({"kind": "bulk_delete", "user_ids": [f"u{n}" for n in range(101)]}, "body.user_ids"),
        ({"kind": "set_channel_data", "user_id": "u", "channel_id": "c", "data": {"x": "x" * 300_000}}, "body.data"),
        ({"kind": "trigger", "workflow": "w", "recipients": [f"u{n}" for n in range(1_001)]}, "body.recipients"),
        ({"kind": "no_such_kind"}, "body"),
    ],
)
def test_an_edited_job_is_checked_as_a_new_one(applied: Applied, change: dict[str, Any], field: str) -> None:
    applied.arrive(bad())
    body = {**good(), **change}
    if "kind" in change:
        del body["user"]

    with pytest.raises(InvalidRequest) as rejected:
        applied.rb.jobs.replay("it", body=body)

    assert {problem.field for problem in rejected.value.problems} == {field}
    assert applied.sent == []
    assert dead(applied) == {("it", "invalid")}


def test_a_deferred_job_may_be_edited(applied: Applied) -> None:
    applied.arrive(bad())
    later = {"occurred_at": microseconds(NOW + timedelta(days=1)), "deferred": True, "requested_at": AT}

    with under_way(
        applied, lambda: applied.rb.jobs.replay("it", body={**good(), **later}, timeout=DEADLINE_SECONDS)
    ) as replay:
        applied.now()

        assert replay.result(DEADLINE_SECONDS).state == "deferred"
    assert dead(applied) == set()


def test_dead_letters_are_counted_by_code(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    assert applied.rb.jobs.count_dead_letters() == ()
    applied.arrive(*(bad(f"bad-{number}") for number in range(3)), message("unknown", kind="remove"))
    monkeypatch.setattr(dead_letters, "MAX_COUNTED", 2)

    counts = {count.code: count for count in applied.rb.jobs.count_dead_letters()}

    assert counts.keys() == {"invalid", "unknown_kind"}
    assert [(each.count, each.is_exact) for each in counts.values()] == [(2, False), (1, True)]
    assert (counts["invalid"].oldest, counts["invalid"].newest) == (NOW, NOW)


def test_dead_letters_of_one_code_are_listed_page_by_page(applied: Applied) -> None:
    applied.arrive(*(message(f"j{number}", kind="remove") for number in range(3)), bad())

    first = applied.rb.jobs.list_dead_letters(code="unknown_kind", limit=2)
    second = applied.rb.jobs.list_dead_letters(code="unknown_kind", limit=2, after=first.after)

    assert [each.id for each in (*first.items, *second.items)] == ["j2", "j1", "j0"]
    assert second.after is None
    assert applied.rb.jobs.list_dead_letters(code="failed").items == ()


def test_many_dead_letters_of_a_code_are_replayed_at_once(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(applied, monkeypatch, "a", "b", "c")
    applied.arrive(bad("other"))

    with under_way(
        applied,
        lambda: applied.rb.jobs.replay_dead_letters("failed", limit=2, timeout=DEADLINE_SECONDS),
        jobs=2,
    ) as replay:
        with pytest.raises(ReplayConflict):
            applied.rb.jobs.replay("a")
        applied.now()
        report = replay.result(DEADLINE_SECONDS)

    assert [(status.id, status.state) for status in report.finished] == [("a", "applied"), ("b", "applied")]
    assert (report.applied, report.unsent, report.unfinished) == (2, (), ())
    assert dead(applied) == {("c", "failed"), ("other", "invalid")}
    rest = applied.rb.jobs.replay_dead_letters("failed", after=report.after, timeout=0)
    assert (rest.unfinished, rest.after) == (("c",), None)
    assert dead(applied) == {("c", "failed"), ("other", "invalid")}


def test_a_replay_of_many_leaves_those_that_would_only_fail_again(applied: Applied) -> None:
    applied.arrive(bad("bad"), bad("worse"))

    report = applied.rb.jobs.replay_dead_letters("invalid", limit=1)

    ((unsent,), after) = report.unsent, report.after
    assert (unsent.id, report.finished) == ("bad", ())
    assert "e-mail" in unsent.reason
    assert [each.id for each in applied.rb.jobs.replay_dead_letters("invalid", after=after).unsent] == ["worse"]
    assert applied.sent == []
    assert dead(applied) == {("bad", "invalid"), ("worse", "invalid")}


def test_a_replay_of_many_gives_each_job_an_id_whose_own_is_taken(applied: Applied) -> None:
    for plan in ("free", "pro"):
        applied.rb.users.identify("u1", {"plan": plan}, job_id="it")
    applied.now()
    (key,) = (each.key for each in applied.rb.jobs.list_dead_letters(code="id_reused").items)

    for _ in range(2):
        report = applied.rb.jobs.replay_dead_letters("id_reused", timeout=0)

    assert report.unfinished == (f"it.{key[:16]}",)
    assert {job.id for job in applied.sent} == {f"it.{key[:16]}"}
    applied.now()
    (status,) = applied.rb.jobs.replay_dead_letters("id_reused", timeout=0).finished
    assert status.state == "applied"
    assert dead(applied) == set()


def test_a_replay_of_many_that_cannot_be_sent_gives_all_back(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(applied, monkeypatch, "a", "b")
    applied.break_broker()

    with pytest.raises(NotSent):
        applied.rb.jobs.replay_dead_letters("failed")

    assert applied.rb.jobs.drop("a")
    assert applied.rb.jobs.drop("b")


def test_many_dead_letters_of_a_code_are_dropped_at_once(applied: Applied) -> None:
    applied.arrive(*(bad(f"bad-{number}") for number in range(3)), message("other", kind="remove"))

    assert applied.rb.jobs.drop_dead_letters("invalid", until=NOW - timedelta(seconds=1)) == 0
    assert applied.rb.jobs.drop_dead_letters("invalid", limit=2, until=NOW) == 2
    assert dead(applied) == {("bad-2", "invalid"), ("other", "unknown_kind")}
    assert applied.rb.jobs.drop_dead_letters("invalid") == 1


def test_arguments_of_calls_for_many_are_checked(applied: Applied) -> None:
    jobs = applied.rb.jobs
    calls: list[tuple[Callable[[], Any], set[str]]] = [
        (lambda: jobs.list_dead_letters(code="Not a code"), {"code"}),
        (lambda: jobs.replay_dead_letters("", limit=101, after="x"), {"limit", "code", "after"}),
        (lambda: jobs.drop_dead_letters("\0", limit=0, until=NOW.replace(tzinfo=None)), {"limit", "code", "until"}),
    ]

    for call, fields in calls:
        with pytest.raises(InvalidRequest) as rejected:
            call()
        assert {problem.field for problem in rejected.value.problems} == fields
