"""Jobs, dead found, deferred jobs and deliveries in the console: what pages show, who may act, and two at once."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from tests.support.console.visitors import Accounts, Visitor, csrf_of
from tests.support.server.running_server import RunningServer
from tests.support.waits import DEADLINE_SECONDS

from rollbook import Rollbook
from rollbook_shared.jobs.codec import VERSION, encode
from rollbook_shared.jobs.models import BulkIdentify, Identify, Trigger, UserUpdate
from rollbook_worker.store import ReceivedJob

NASTY = "<script>alert(1)</script>\u202e\U0001f600"


def now() -> int:
    return time.time_ns() // 1_000


def bad(job_id: str, email: str = "no address") -> str:
    user = {"id": job_id, "traits": {"email": email, "plan": "secret-plan"}}
    return json.dumps({"v": VERSION, "id": job_id, "kind": "identify", "occurred_at": 1_000, "user": user})


def arrive(server: RunningServer, *messages: str) -> None:
    server.publisher.store.apply([ReceivedJob.of(message) for message in messages], now=now())


@pytest.fixture
def dead(server: RunningServer, database_url: str) -> str:
    """The path of the page of a dead letter."""
    job_id = f"dead-{uuid4()}"
    arrive(server, bad(job_id))
    with Rollbook(database_url=database_url) as rb:
        return f"/dead-letters/{job_id}/{rb.jobs.get_dead_letter(job_id).key}"


def test_jobs_are_listed_by_state_kind_user_and_time(server: RunningServer, reader: Visitor) -> None:
    job_id = f"job-{uuid4()}"
    arrive(server, encode(Identify(id=job_id, occurred_at=now(), user=UserUpdate(id="lisa"))), bad(f"bad-{job_id}"))

    assert job_id in reader.get("/jobs").text
    assert job_id in reader.get("/jobs", user_id="lisa", kind="identify", state="applied").text
    assert job_id not in reader.get("/jobs", state="rejected").text
    assert job_id not in reader.get("/jobs", until="2020-01-01 00:00").text
    assert job_id in reader.get("/jobs", since="2020-01-01T00:00:00+01:00").text
    for query in ({"state": "x"}, {"kind": "x"}, {"since": "yesterday"}, {"after": "x"}):
        assert reader.get("/jobs", **query).status_code == 400


def test_a_job_shows_its_outcome_for_each_item_and_its_trace(server: RunningServer, reader: Visitor) -> None:
    bulk = json.loads(encode(BulkIdentify(id="bulk-1", occurred_at=now(), users=(UserUpdate(id="a"),))))
    bulk["users"].append({"id": "b", "traits": {"email": NASTY}})
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    server.publisher.store.apply([ReceivedJob.of(json.dumps(bulk), trace)], now=now())
    trigger = Trigger(id="trigger-1", occurred_at=now(), workflow="w", recipients=(UserUpdate(id="cy"), "not-known"))
    arrive(server, encode(trigger))

    page, of_trigger = reader.get("/jobs/bulk-1").text, reader.get("/jobs/trigger-1").text

    assert "users[1].email" in page
    assert "ab" * 16 in page
    assert NASTY not in page
    assert "not-known" in of_trigger
    assert "/console/users/cy" in of_trigger
    assert "No worker has applied" in reader.get("/jobs/never-sent").text
    assert reader.get("/jobs/no%20job").status_code == 400


def test_dead_letters_are_grouped_by_code_with_what_to_do(server: RunningServer, reader: Visitor, dead: str) -> None:
    page = reader.get("/dead-letters").text

    assert "Fix what published it" in page
    assert dead.split("/")[2] in reader.get("/dead-letters", code="invalid").text
    assert dead.split("/")[2] not in reader.get("/dead-letters", code="failed").text
    assert "Drop…" not in page


def test_a_body_is_masked_and_shown_with_a_reason(
    reader: Visitor, operator: Visitor, admin: Visitor, accounts: Accounts, dead: str
) -> None:
    shown = admin.get(dead).text
    masked = [visitor.get(dead).text for visitor in (reader, operator)]
    revealed = operator.post(dead, {"reveal_reason": "ticket 7"}, on=dead)

    assert "secret-plan" in shown
    for page in masked:
        assert "secret-plan" not in page
        assert "traits" in page
    assert "secret-plan" in revealed.text
    assert accounts.audit(account="oda", action="reveal")[0].reason == "ticket 7"
    assert reader.post(dead, {"reveal_reason": "curious"}, on=dead).status_code == 403


def test_a_dead_letter_is_edited_and_replayed(admin: Visitor, accounts: Accounts, dead: str) -> None:
    job_id = dead.split("/")[2]
    edited = {**json.loads(bad(job_id)), "user": {"id": job_id, "traits": {"plan": "pro"}}}

    wrong = admin.post(f"{dead}/replay", {"body": json.dumps({**edited, "kind": NASTY})}, on=dead)
    answer = admin.post(f"{dead}/replay", {"body": json.dumps(edited, indent=2)}, on=dead)

    assert wrong.status_code == 400
    assert "Not sent" in wrong.text
    assert "<script>alert" not in wrong.text
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/jobs/{job_id}")
    assert "its dead letter is gone" in admin.get(f"/jobs/{job_id}").text
    assert admin.get(dead).status_code == 404
    done, rejected = accounts.audit(account="ada", action="dead_letters.replay")[:2]
    assert (done.outcome, done.job_id, rejected.outcome) == ("done", job_id, "rejected")


def test_of_two_operators_one_wins_and_the_other_is_shown_a_conflict(
    server: RunningServer, admin: Visitor, operator: Visitor, dead: str
) -> None:
    job_id = dead.split("/")[2]
    edited = json.dumps({**json.loads(bad(job_id)), "user": {"id": job_id}})
    token = csrf_of(operator.get(dead))
    sent = len(server.publisher.published)
    server.publisher.workers_are_away = True
    try:
        with ThreadPoolExecutor(1) as other:
            first = other.submit(admin.post, f"{dead}/replay", {"body": edited}, on=dead)
            while len(server.publisher.published) == sent and not first.done():
                threading.Event().wait(0.005)
            second = operator.send(f"{dead}/replay", {"csrf_token": token, "body": edited})
            dropped = operator.send(f"{dead}/drop", {"csrf_token": token})
            server.publisher.workers_are_away = False
            server.publisher.apply()
            assert first.result(DEADLINE_SECONDS).status_code == 303
    finally:
        server.publisher.workers_are_away = False

    assert [answer.status_code for answer in (second, dropped)] == [409, 409]
    assert "Another operator was faster" in second.text
    assert len(server.publisher.published) == sent + 1


def test_dead_letters_are_dropped_and_replayed_by_code(
    server: RunningServer, operator: Visitor, accounts: Accounts, dead: str
) -> None:
    assert operator.post(f"{dead}/drop", on=dead).status_code == 303
    assert operator.post(f"{dead}/drop", on="/dead-letters").status_code == 404
    arrive(server, bad("bulk-a"), bad("bulk-b"), "no job")

    replayed = operator.post("/dead-letters/replay", {"code": "invalid"}, on="/dead-letters")
    said = operator.get("/dead-letters").text
    dropped = operator.post("/dead-letters/drop", {"code": "malformed"}, on="/dead-letters")

    assert [answer.status_code for answer in (replayed, dropped)] == [303, 303]
    assert "they would only fail again" in said
    (entry,) = accounts.audit(account="oda", action="dead_letters.drop_many")
    assert "1 dropped" in (entry.target or "")
    assert operator.post("/dead-letters/drop", {"code": NASTY}, on="/dead-letters").status_code == 400


def test_chosen_dead_letters_are_replayed_and_dropped_each_by_itself(
    server: RunningServer, operator: Visitor, accounts: Accounts, database_url: str
) -> None:
    arrive(server, *(bad(f"chosen-{name}") for name in "abcd"))
    with psycopg.connect(database_url, autocommit=True) as connection:
        for id_ in ("chosen-a", "chosen-d"):
            mended = encode(Identify(id=id_, occurred_at=now(), user=UserUpdate(id="mended")))
            connection.execute("UPDATE rollbook.dead_letters SET body = %s WHERE id = %s", (mended.encode(), id_))
        connection.execute("UPDATE rollbook.dead_letters SET replaying_until = 'infinity' WHERE id = 'chosen-d'")
    page = operator.get("/dead-letters").text
    box = 'name="chosen" value="([0-9a-f]+ chosen-%s)" form="chosen"'
    boxes = {name: re.findall(box % name, page)[0] for name in "abcd"}

    replayed = operator.post("/dead-letters/replay-chosen", {"chosen": list(boxes.values())}, on="/dead-letters")
    said = operator.get("/dead-letters").text
    dropped = operator.post(
        "/dead-letters/drop-chosen",
        {"chosen": [boxes[name] for name in "acd"], "code": "invalid"},
        on="/dead-letters",
    )
    left = operator.get("/dead-letters", code="invalid").text

    assert replayed.status_code == dropped.status_code == 303
    assert dropped.headers["location"] == "/console/dead-letters?code=invalid"
    assert "1 applied, 1 left to another operator, 2 not replayed, because they would only fail again" in said
    assert "1 dropped, 1 gone, 1 left to another operator" in left
    assert [f"chosen-{name}" in left for name in "abcd"] == [False, True, False, True]
    (entry,) = accounts.audit(account="oda", action="dead_letters.drop_chosen")
    assert entry.target == (
        "chosen dead letters: 1 dropped, 1 gone, 1 left to another operator: chosen-a, chosen-c, chosen-d"
    )
    for chosen in ([], ["no-key"], [f"{number:064x} x" for number in range(101)]):
        answer = operator.post("/dead-letters/drop-chosen", {"chosen": chosen}, on="/dead-letters")
        assert answer.status_code == 400


def test_a_chosen_job_whose_id_is_anothers_gets_an_id_of_its_own(
    server: RunningServer, operator: Visitor, database_url: str
) -> None:
    for plan in ("pro", "free"):
        user = UserUpdate(id="twin", traits={"plan": plan})
        arrive(server, encode(Identify(id="one-id", occurred_at=now(), user=user)))
    with Rollbook(database_url=database_url) as rb:
        (twin,) = [each for each in rb.jobs.list_dead_letters(code="id_reused").items if each.id == "one-id"]

        operator.post("/dead-letters/replay-chosen", {"chosen": f"{twin.key} one-id"}, on="/dead-letters")

        assert rb.users.get("twin").properties == {"plan": "free"}
        assert rb.jobs.get(f"one-id.{twin.key[:16]}").state == "applied"
        assert "one-id" not in {each.id for each in rb.jobs.list_dead_letters(code="id_reused").items}


def test_a_deferred_job_is_listed_and_cancelled(
    server: RunningServer, operator: Visitor, reader: Visitor, accounts: Accounts
) -> None:
    later = Identify(
        id="later-1", occurred_at=now() + 86_400_000_000, deferred=True, requested_at=now(), user=UserUpdate(id="ann")
    )
    arrive(server, encode(later))

    listed = reader.get("/deferred").text
    rejected = reader.post("/deferred/later-1/cancel", on="/account")
    cancelled = operator.post("/deferred/later-1/cancel", on="/deferred")
    again = operator.post("/deferred/no-such-job/cancel", on="/deferred")

    assert "later-1" in listed
    assert "Cancel…" not in listed
    assert [answer.status_code for answer in (rejected, cancelled, again)] == [403, 303, 303]
    assert "cancelled" in reader.get("/jobs/later-1").text
    assert accounts.audit(account="oda", action="jobs.cancel")[1].job_id == "later-1"


def test_deliveries_are_found_retried_and_cancelled(
    server: RunningServer, operator: Visitor, reader: Visitor, database_url: str
) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    rows = """
        INSERT INTO rollbook.deliveries
            (message_id, channel, workflow, priority, state, reason, due_at, expires_at, created_at, changed_at)
        VALUES (%s, 'mail', 'w', 0, 'undeliverable', %s, NULL, 'infinity', now(), now()),
            (%s, 'mail', 'w', 0, 'pending', NULL, now(), 'infinity', now(), now()),
            (%s, 'mail', 'w', 0, 'sent', NULL, NULL, 'infinity', now(), now())
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(rows, (ids[0], NASTY, ids[1], ids[2]))

    given_up = reader.get("/deliveries").text
    waiting = reader.get("/deliveries", state="pending", channel="mail").text
    page = reader.get(f"/deliveries/{ids[0]}").text

    assert ids[0] in given_up
    assert ids[1] in waiting
    assert NASTY not in given_up + page
    assert "alert(1)" in page
    assert "Try again" not in page
    assert "Try again" in operator.get(f"/deliveries/{ids[0]}").text
    assert operator.post(f"/deliveries/{ids[1]}/cancel", on="/deliveries").status_code == 303
    assert "cancelled" in reader.get(f"/deliveries/{ids[1]}").text
    kept = operator.post(f"/deliveries/{ids[2]}/cancel", on="/deliveries")
    assert kept.status_code == 303
    assert "Nothing was changed" in operator.get(f"/deliveries/{ids[2]}").text
    assert reader.get(f"/deliveries/{uuid4()}").status_code == 404
    assert reader.get("/deliveries", state="lost").status_code == 400
    assert reader.get("/deliveries", user_id="not-known-at-all").status_code == 200


def test_no_page_shows_foreign_text_as_html(server: RunningServer, admin: Visitor, database_url: str) -> None:
    job_id = f"nasty-{uuid4()}"
    arrive(server, bad(job_id, email=NASTY), json.dumps({"v": VERSION, "id": f"{job_id}-2", "kind": NASTY}))

    with Rollbook(database_url=database_url) as rb:
        found = [each for each in rb.jobs.list_dead_letters().items if each.id.startswith(job_id)]
    pages = [
        "/jobs",
        "/dead-letters",
        f"/jobs?user_id={NASTY}",
        f"/deliveries?user_id={NASTY}&state=sent",
        *(f"/dead-letters/{each.id}/{each.key}" for each in found),
    ]

    assert len(found) == 2
    for page in pages:
        answer = admin.get(page)
        assert answer.status_code in (200, 400)
        assert "<script>alert" not in answer.text
        assert not re.search(r"<style| style=| on\w+=", answer.text)
