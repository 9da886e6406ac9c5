"""The whole path: a client sends jobs through a real broker, workers apply them, and the client reads the result."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tests.support.brokers import connect_to_broker
from tests.support.databases import OTHER_SCHEMA
from tests.support.waits import DEADLINE_SECONDS, wait_until

from rollbook import InvalidRequest, Rollbook, UserNotFound
from rollbook_shared.database.schema import in_schema

pytestmark = pytest.mark.usefixtures("shared_workers")


def test_an_identified_user_is_read_back(rb: Rollbook) -> None:
    job = rb.users.identify("path-ann", {"email": "ann@example.com", "plan": "pro", "__type__": "kept"})

    assert job.wait(timeout=DEADLINE_SECONDS).state == "applied"
    ann = rb.users.get("path-ann")
    assert (ann.email, ann.properties) == ("ann@example.com", {"plan": "pro", "__type__": "kept"})


def test_imported_users_are_listed_in_id_order(rb: Rollbook) -> None:
    job = rb.users.bulk_identify([{"id": f"bulk-{number:02}", "wave": 7} for number in reversed(range(100))])

    job.wait(timeout=DEADLINE_SECONDS)

    page = rb.users.list(limit=60, where={"wave": 7})
    rest = rb.users.list(limit=60, after=page.after, where={"wave": 7})
    assert [user.id for user in [*page.items, *rest.items]] == [f"bulk-{number:02}" for number in range(100)]


def test_a_guest_who_signs_up_keeps_its_messages(rb: Rollbook, database_url: str) -> None:
    rb.users.identify("guest-1", {"source": "invite", "address": {"city": "Lima"}}).wait(DEADLINE_SECONDS)
    sent = rb.workflows.trigger("invited", ["guest-1"], actor={"id": "host-1", "name": "Host"})
    sent.wait(DEADLINE_SECONDS)
    rb.users.identify("member-1", {"address": {"zip": "15001"}}).wait(DEADLINE_SECONDS)

    rb.users.merge("member-1", from_user_id="guest-1").wait(DEADLINE_SECONDS)

    member = rb.users.get("member-1")
    assert member.properties == {"source": "invite", "address": {"city": "Lima", "zip": "15001"}}
    with pytest.raises(UserNotFound) as gone:
        rb.users.get("guest-1")
    assert gone.value.merged_into == "member-1"
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            in_schema("SELECT owner, actor FROM rollbook.owned_messages WHERE job_id = %s", OTHER_SCHEMA).encode(),
            (sent.id,),
        ).fetchall()
    assert rows == [("member-1", "host-1")]


def test_a_job_sent_many_times_is_applied_once(rb: Rollbook) -> None:
    at = datetime.now(UTC) - timedelta(minutes=1)
    for _ in range(5):
        job = rb.users.identify("once", {"n": 1}, job_id="once-1", occurred_at=at)
    job.wait(DEADLINE_SECONDS)
    rb.users.identify("once", {"n": 2}).wait(DEADLINE_SECONDS)

    rb.users.identify("once", {"n": 1}, job_id="once-1", occurred_at=at)

    wait_until(lambda: rb.jobs.get("once-1").duplicates == 5, what="counting five duplicates")
    assert rb.users.get("once").properties == {"n": 2}


def test_invalid_input_is_rejected_before_anything_is_sent(rb: Rollbook, broker_url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"users\[1\]\.email"):
        rb.users.bulk_identify([{"id": "fine"}, {"id": "bad", "email": "nonsense"}])

    with connect_to_broker(broker_url) as broker:
        assert broker.llen("bulk") == 0
    with pytest.raises(UserNotFound):
        rb.users.get("fine")


def test_a_deleted_user_is_gone_and_its_id_can_be_used_again(rb: Rollbook) -> None:
    rb.users.identify("reborn", {"old": True}).wait(DEADLINE_SECONDS)
    rb.users.delete("reborn").wait(DEADLINE_SECONDS)
    with pytest.raises(UserNotFound):
        rb.users.get("reborn")

    rb.users.identify("reborn", {"new": True}).wait(DEADLINE_SECONDS)

    assert rb.users.get("reborn").properties == {"new": True}


def test_a_job_can_be_read_within_a_second(rb: Rollbook) -> None:
    """Not a benchmark: it fails when waiting somewhere takes the place of a message."""
    rb.users.identify("warm", {}).wait(DEADLINE_SECONDS)
    started = time.monotonic()

    for number in range(20):
        rb.users.identify("warm", {"n": number}).wait(DEADLINE_SECONDS)

    assert time.monotonic() - started < 20
