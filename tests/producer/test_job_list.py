"""Lists of recent jobs by state, kind, user and time (rules 28 and 35)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tests.support.builders import (
    DAY,
    NOW,
    bulk_identify,
    day,
    delete,
    identify,
    mark,
    merge,
    set_preferences,
    trigger,
    user,
)
from tests.support.conflicting_jobs import job_sets
from tests.support.example_counts import examples
from tests.support.producer.rejections import problems_of
from tests.support.stores import OnPostgres

from rollbook import JobStatus, Page, Rollbook
from rollbook.queries import job_list
from rollbook_shared import jobs
from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.store import ReceivedJob

STATES: Final = (None, "applied", "rejected", "deferred", "cancelled", "dead")
KINDS: Final = (None, "identify", "bulk_identify", "merge", "trigger", "delete", "set_preferences")


@pytest.fixture(scope="module")
def on_postgres(database_url: str) -> Iterator[OnPostgres]:
    subject = OnPostgres(database_url)
    yield subject
    subject.close()


@pytest.fixture
def subject(on_postgres: OnPostgres) -> OnPostgres:
    on_postgres.reset()
    return on_postgres


@pytest.fixture(scope="module")
def rb(database_url: str) -> Iterator[Rollbook]:
    with Rollbook(database_url=database_url) as rb:
        yield rb


def arrive(subject: OnPostgres, *messages: Any, now: int = NOW) -> None:
    subject.store.apply(
        [ReceivedJob.of(message if isinstance(message, str) else encode(message)) for message in messages], now=now
    )


def all_of(rb: Rollbook, **asked: Any) -> list[JobStatus]:
    pages: list[Page[JobStatus]] = [rb.jobs.list(**asked)]
    while pages[-1].after is not None:
        pages.append(rb.jobs.list(**asked, after=pages[-1].after))
    assert all(len(page.items) <= asked.get("limit", 50) for page in pages)
    return [status for page in pages for status in page.items]


def ids(rb: Rollbook, **asked: Any) -> list[str]:
    return [status.id for status in all_of(rb, **asked)]


def test_rule_28_jobs_are_listed_by_state_and_kind_the_newest_first(subject: OnPostgres, rb: Rollbook) -> None:
    arrive(subject, identify("ann", at=1, job="identify"), now=NOW)
    body = json.loads(encode(bulk_identify(user("u"), at=1, job="rejected")))
    rejected = json.dumps(body | {"users": [{"id": ""}]})
    arrive(subject, rejected, now=NOW + 1)
    arrive(subject, delete("bo", at=400, job="deferred"), delete("bo", at=401, job="cancelled"), now=NOW + 2)
    arrive(subject, '{"id": "dead", "occurred_at": 1, "kind": "merge"}', now=NOW + 3)
    rb.jobs.cancel("cancelled")

    assert ids(rb)[0] == "cancelled"
    assert ids(rb)[1:] == ["dead", "deferred", "rejected", "identify"]
    assert [(status.id, status.state) for status in all_of(rb, limit=1)][1:] == [
        ("dead", "dead"),
        ("deferred", "deferred"),
        ("rejected", "rejected"),
        ("identify", "applied"),
    ]
    assert ids(rb, state="applied") == ["identify"]
    assert ids(rb, state="rejected") == ["rejected"]
    assert ids(rb, state="deferred") == ["deferred"]
    assert ids(rb, state="cancelled") == ["cancelled"]
    assert ids(rb, state="dead") == ["dead"]
    assert ids(rb, kind="delete") == ["cancelled", "deferred"]
    assert ids(rb, kind="delete", state="deferred") == ["deferred"]
    assert ids(rb, kind="merge") == ["dead"]
    assert ids(rb, kind="identify") == ["identify"]
    assert all_of(rb, state="dead") == [rb.jobs.get("dead")]
    assert all_of(rb, state="applied") == [rb.jobs.get("identify")]


def test_rule_28_jobs_are_listed_by_time(subject: OnPostgres, rb: Rollbook) -> None:
    for second in range(4):
        arrive(subject, identify("ann", at=1, plus=second, job=f"j{second}"), now=NOW + second * 1_000_000)

    def at(second: int) -> datetime:
        return datetime_of(NOW + second * 1_000_000)

    assert ids(rb, since=at(1)) == ["j3", "j2", "j1"]
    assert ids(rb, until=at(2), limit=2) == ["j2", "j1", "j0"]
    assert ids(rb, since=at(1), until=at(2)) == ["j2", "j1"]
    assert ids(rb, since=at(4)) == []


def test_rule_28_jobs_of_a_user_are_found_by_what_they_left(subject: OnPostgres, rb: Rollbook) -> None:
    arrive(
        subject,
        identify("ann", name="Ann", at=1, job="ann"),
        identify("guest", plan="pro", at=2, job="guest"),
        set_preferences("ann", "default", {"workflows": {"news": False}}, at=3, job="preferences"),
        trigger("hello", ["ann"], actor="bo", at=4, job="to-ann"),
        trigger("hello", [user("bo")], actor="guest", at=5, job="by-guest"),
        merge("ann", "guest", at=6, job="merge"),
        identify("bo", at=7, job="bo"),
        delete("cy", at=8, job="cy"),
        identify("dee", at=9, job="dee"),
    )

    assert ids(rb, user_id="ann") == ["merge", "by-guest", "to-ann", "preferences", "guest", "ann"]
    assert ids(rb, user_id="guest", limit=2) == ids(rb, user_id="ann")
    assert ids(rb, user_id="bo") == ["bo", "by-guest", "to-ann"]
    assert ids(rb, user_id="cy") == ["cy"]
    assert ids(rb, user_id="unknown") == []
    assert ids(rb, user_id="ann", kind="trigger") == ["by-guest", "to-ann"]
    assert ids(rb, user_id="ann", since=datetime(2026, 1, 4, tzinfo=UTC), until=datetime(2026, 1, 6, tzinfo=UTC)) == [
        "by-guest",
        "to-ann",
        "preferences",
    ]


def test_rule_11_nothing_of_an_erased_user_is_found(subject: OnPostgres, rb: Rollbook) -> None:
    arrive(
        subject,
        identify("ann", name="Ann", at=1, job="ann"),
        trigger("hello", ["ann"], actor="ann", at=4, job="to-ann"),
        identify("bo", at=5, job="bo"),
        delete("ann", at=6, job="delete"),
    )
    assert ids(rb, user_id="ann") == ["delete", "to-ann", "ann"]

    subject.store.cleanup.erase_deleted_users(now=NOW + 2 * DAY)

    assert ids(rb, user_id="ann") == []
    assert set(ids(rb)) == {"ann", "to-ann", "bo", "delete"}


def test_rule_35_a_page_of_a_user_with_many_activities_ends_and_goes_on(
    subject: OnPostgres, rb: Rollbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "MAX_ACTIVITIES", 3)
    arrive(
        subject,
        identify("ann", at=0, job="first"),
        *(trigger("hello", ["ann"], at=1, plus=number, job=f"t{number}") for number in range(8)),
    )

    assert ids(rb, user_id="ann") == [*(f"t{number}" for number in range(7, -1, -1)), "first"]
    assert ids(rb, user_id="ann", limit=2) == ids(rb, user_id="ann")
    # those of another kind are passed over, three at a time
    assert ids(rb, user_id="ann", kind="identify") == ["first"]


def test_rule_28_what_a_user_marked_is_found_by_the_user_and_by_what_merged_into_it(
    subject: OnPostgres, rb: Rollbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "MAX_ACTIVITIES", 3)
    ids_of_messages = [message_id("to-ann", "ann", "in_app"), *(message_id(f"t{n}", "ann", "in_app") for n in range(4))]
    arrive(
        subject,
        identify("ann", at=0, job="ann"),
        identify("guest", at=0, plus=1, job="guest"),
        mark(ids_of_messages, "read", at=1, job="by-ann", user_id="ann"),
        mark(ids_of_messages[:1], "seen", at=2, job="by-guest", user_id="guest"),
        mark(ids_of_messages[:1], "archived", at=3, job="by-unknown"),
        merge("ann", "guest", at=4, job="merge"),
    )

    assert ids(rb, user_id="ann") == ["merge", "by-guest", "by-ann", "guest", "ann"]
    assert ids(rb, user_id="ann", kind="mark", limit=1) == ["by-guest", "by-ann"]


def names(job: Job) -> set[str]:
    """The users that a job says something of."""
    match job:
        case jobs.Identify():
            return {job.user.id}
        case jobs.BulkIdentify():
            return {one.id for one in job.users if isinstance(one, jobs.UserUpdate)}
        case jobs.BulkDelete() | jobs.BulkSetPreferences():
            return set(job.user_ids)
        case jobs.Merge():
            return {job.primary_id, job.secondary_id}
        case jobs.Trigger():
            people = [*job.recipients, *([] if job.actor is None else [job.actor])]
            return {one if isinstance(one, str) else one.id for one in people}
        case jobs.Mark():
            return set() if job.user_id is None else {job.user_id}
        case _:
            return {job.user_id}


@st.composite
def received(draw: DrawFn) -> list[tuple[str, int]]:
    """Messages with when they arrive: jobs, some not due yet, some that cannot be applied."""
    found: list[tuple[str, int]] = []
    for job in draw(job_sets):
        text = encode(job)
        match draw(st.integers(0, 5)):
            case 0:
                text = text.replace('"kind"', '"kinds"')
            case 1:
                text = encode(job.model_copy(update={"occurred_at": NOW + DAY}))
        found.append((text, NOW + draw(st.integers(0, 3))))
    return found


@examples(80)
@given(
    arrivals=received(),
    state=st.sampled_from(STATES),
    kind=st.sampled_from(KINDS),
    limit=st.integers(1, 4),
    scanned=st.sampled_from([1, 3, 10_000]),
)
def test_rule_28_pages_of_jobs_are_what_was_received(
    arrivals: list[tuple[str, int]],
    state: Any,
    kind: str | None,
    limit: int,
    scanned: int,
    on_postgres: OnPostgres,
    rb: Rollbook,
) -> None:
    on_postgres.reset()
    wanted: list[tuple[int, str]] = []
    for text, at in arrivals:
        (outcome,) = on_postgres.store.apply([ReceivedJob.of(text)], now=at)
        if state in (None, outcome.state) and kind in (None, outcome.kind):
            wanted.append((at, outcome.job_id))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_list, "MAX_SCANNED", scanned)
        found = ids(rb, state=state, kind=kind, limit=limit)

    assert found == [id_ for _, id_ in sorted(wanted, reverse=True)]


def test_rule_28_jobs_of_a_user_are_found_in_each_state(subject: OnPostgres, rb: Rollbook) -> None:
    arrive_in_each_state(subject, rb)

    assert [(status.id, status.state) for status in all_of(rb, user_id="ann")] == [
        ("cancelled", "cancelled"),
        ("deferred", "deferred"),
        ("dead", "dead"),
        ("rejected", "rejected"),
        ("rejected-when-due", "rejected"),
        ("applied", "applied"),
    ]
    assert ids(rb, user_id="ann", limit=1) == ids(rb, user_id="ann")
    for state in STATES[1:]:
        assert [status.state for status in all_of(rb, user_id="ann", state=state)] == [state] * (
            2 if state == "rejected" else 1
        )
    assert ids(rb, user_id="ann", kind="delete") == ["cancelled", "deferred"]
    assert ids(rb, user_id="ann", kind="merge") == ["dead"]
    assert ids(rb, user_id="ann", since=datetime_of(day(3)), until=datetime_of(day(5))) == ["dead", "rejected"]
    assert ids(rb, user_id="bo") == ["dead"]
    assert ids(rb, user_id="an") == []


def test_rule_28_jobs_of_an_id_are_found_in_each_state_after_its_merge(subject: OnPostgres, rb: Rollbook) -> None:
    arrive_in_each_state(subject, rb)
    arrive(subject, identify("zoe", at=1, job="zoe"), merge("zoe", "ann", at=6, job="merge"))

    assert set(ids(rb, user_id="zoe")) - {"zoe", "merge"} == {
        *("cancelled", "deferred", "dead", "rejected", "rejected-when-due", "applied")
    }


def test_rule_28_a_job_and_dead_letters_of_its_id_and_time_are_on_pages_of_one(
    subject: OnPostgres, rb: Rollbook
) -> None:
    arrive(subject, identify("ann", at=1, job="same", plan="a"), identify("ann", at=1, job="other"))
    arrive(subject, identify("ann", at=1, job="same", plan="b"), identify("ann", at=1, job="same", plan="c"))
    arrive(subject, trigger("hello", ["ann"], at=2, job="trigger"), identify("ann", at=2, job="trigger"))
    rejected = json.loads(encode(bulk_identify(user("u"), at=3, job="rejected"))) | {"users": [{"id": "ann", "x": 1}]}
    arrive(subject, json.dumps(rejected), identify("ann", at=3, job="rejected"))

    shown = [(status.id, status.state) for status in all_of(rb, user_id="ann", limit=1)]

    assert shown == [
        ("rejected", "dead"),
        ("rejected", "rejected"),
        ("trigger", "dead"),
        ("trigger", "applied"),
        ("same", "dead"),
        ("same", "dead"),
        ("same", "applied"),
        ("other", "applied"),
    ]


def test_rule_11_jobs_in_no_state_are_found_by_an_erased_user(subject: OnPostgres, rb: Rollbook) -> None:
    arrive_in_each_state(subject, rb)
    arrive(subject, delete("ann", at=6, job="delete"))

    subject.store.cleanup.erase_deleted_users(now=NOW + 2 * DAY)

    assert ids(rb, user_id="ann") == []
    assert {"cancelled", "deferred", "rejected", "rejected-when-due", "applied"} <= set(ids(rb))


def arrive_in_each_state(subject: OnPostgres, rb: Rollbook) -> None:
    invalid = {"users": [{"id": "ann", "name": 1}]}
    rejected = json.loads(encode(bulk_identify(user("u"), at=4, job="rejected"))) | invalid
    later = {"deferred": True, "requested_at": day(1), "id": "rejected-when-due", "occurred_at": day(2)}
    arrive(subject, json.dumps(rejected | later), now=day(1))
    subject.release_due(now=day(2))
    merge_with_more = json.loads(encode(merge("ann", "bo", at=5, job="dead"))) | {"more": 1}
    arrive(subject, identify("ann", at=1, job="applied"), json.dumps(rejected), json.dumps(merge_with_more))
    deferred = [
        delete("ann", at=at, job=job).model_copy(update={"deferred": True, "requested_at": day(5)})
        for at, job in ((400, "deferred"), (401, "cancelled"))
    ]
    arrive(subject, *deferred)
    assert rb.jobs.cancel("cancelled")


@examples(80)
@given(received=job_sets, limit=st.integers(1, 4), most=st.sampled_from([1, 2, 1_000]), user_id=st.sampled_from("abcd"))
def test_rule_28_each_job_that_says_something_of_a_user_is_found(
    received: list[Job], limit: int, most: int, user_id: str, on_postgres: OnPostgres, rb: Rollbook
) -> None:
    on_postgres.reset()
    arrive(on_postgres, *received)
    wanted = {job.id for job in received if user_id in names(job)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_list, "MAX_ACTIVITIES", most)
        found = ids(rb, user_id=user_id, limit=limit)

    assert len(found) == len(set(found))
    times = {job.id: (job.occurred_at, job.id) for job in received}
    assert found == sorted(found, key=times.__getitem__, reverse=True)
    # an unset value leaves nothing if a later one has replaced it, and neither does engagement
    replaced = ("set_channel_data", "unset_channel_data", "mark_all", "mark")
    lasting = {job.id for job in received if job.kind not in replaced}
    assert wanted & lasting <= set(found)


def test_rule_35_all_problems_of_a_list_of_jobs_are_reported_at_once() -> None:
    problems = problems_of(
        lambda rb: rb.jobs.list(
            state="queued",  # type: ignore[arg-type]
            kind="nothing",
            user_id="",
            since=datetime(2026, 1, 1),  # noqa: DTZ001
            until="2026",  # type: ignore[arg-type]
            limit=0,
            after="x",
        )
    )

    assert [field for field, _, _ in problems] == [
        "limit",
        "after",
        "state",
        "kind",
        "user_id",
        "since",
        "until",
    ]


def test_a_time_without_a_zone_is_rejected() -> None:
    ((field, _, _),) = problems_of(lambda rb: rb.jobs.list(since=datetime.max - timedelta(days=1)))  # noqa: DTZ901

    assert field == "since"
