"""The subject-access export: everything that is stored about one person, and nothing about others."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from tests.support.producer.applied_jobs import NOW, Applied

from rollbook_shared.database.statements import load
from rollbook_shared.database.tables import metadata
from rollbook_shared.jobs.models import Identify

DAY = timedelta(days=1)


def a_life(applied: Applied) -> list[str]:
    """Send of `ann`, who was a guest before, in every way there is; return the marks that her values bear."""
    rb, numbers = applied.rb, iter(range(1_000))
    marks: list[str] = []

    def mine() -> str:
        marks.append(f"ANN{next(numbers):03}")
        return marks[-1]

    def theirs() -> str:
        return f"OTHER{next(numbers):03}"

    rb.users.identify("ann", {"name": mine(), "plan": mine(), "address": {"city": mine()}}, occurred_at=NOW - 50 * DAY)
    rb.users.identify(
        "guest",
        {
            "name": mine(),
            "cart": [mine()],
            "preferences": {"acme": {"workflows": {mine(): False}}},
            "channel_data": {"fcm": {"tokens": [mine()]}},
        },
        occurred_at=NOW - 50 * DAY,
    )
    rb.users.set_preferences("ann", "default", {"categories": {mine(): True}}, occurred_at=NOW - 40 * DAY)
    rb.users.set_preferences("ann", "default", {"categories": {mine(): False}}, occurred_at=NOW - 39 * DAY)
    rb.users.set_channel_data("ann", "apns", {"tokens": [mine()]}, occurred_at=NOW - 39 * DAY)
    rb.users.identify("bo", {"name": theirs()}, occurred_at=NOW - 50 * DAY)
    for id_, ago in (("guest", 45), ("ann", 45), ("guest", 3), ("ann", 3)):
        rb.workflows.trigger(mine(), [id_], actor="bo", data={"text": mine()}, occurred_at=NOW - ago * DAY)
        rb.workflows.trigger(mine(), ["bo"], actor=id_, data={"text": mine()}, occurred_at=NOW - ago * DAY)
    rb.workflows.trigger(theirs(), ["bo"], data={"text": theirs()}, occurred_at=NOW - DAY)
    rb.workflows.trigger("early", ["ann", "nobody"], job_id=mine(), occurred_at=NOW - 55 * DAY)
    rb.users.merge("ann", "guest", job_id=mine(), occurred_at=NOW - 2 * DAY)
    rb.users.merge("ann", "later", occurred_at=NOW - 2 * DAY)
    applied.now()
    item = rb.feeds.list("ann").items[0]
    rb.messages.mark([item.id], "read", job_id=mine(), occurred_at=NOW - DAY)
    rb.users.bulk_identify([{"id": "guest", "tier": mine()}, {"id": "bo", "tier": theirs()}], delay=3 * DAY)
    rb.users.identify("ann", {"job": "one"}, job_id="twice", occurred_at=NOW - DAY)
    applied.now()
    rb.users.bulk_identify(
        [{"id": "ann", "note": mine()}, {"id": "bo", "note": theirs()}], job_id="twice", occurred_at=NOW - DAY
    )
    applied.now()
    return marks


def test_every_value_of_a_person_is_in_the_export(applied: Applied) -> None:
    marks = a_life(applied)

    document = json.dumps(applied.rb.users.export("ann"))

    assert [mark for mark in marks if mark not in document] == []


def test_every_table_is_exported_or_listed_as_an_exception() -> None:
    exported = set(re.findall(r"rollbook\.(\w+)", " ".join(load("rollbook.queries", "exports").values())))
    copies = {"ownership_periods", "resolved_preference_sets", "resolved_channel_engagements"}
    copies |= {"large_users", "unknown_recipients"}  # a size, and which activities are those of no user
    copies |= {"console_audit"}  # what operators did: a record of them, which only admins of the console read
    without_ids = {"console_accounts", "console_sessions", "console_login_tokens"}
    without_ids |= {"erasure_receipts", "erasure_keys", "store", "delivery_rates", "measurements"}

    assert {table.name for table in metadata.sorted_tables} - exported == copies | without_ids


def test_nothing_of_others_is_in_the_export(applied: Applied) -> None:
    a_life(applied)

    assert "OTHER" not in json.dumps(applied.rb.users.export("ann"))


def test_each_part_has_its_own(applied: Applied) -> None:
    a_life(applied)

    document = applied.rb.users.export("ann")

    assert (document["id"], document["ids"], document["held"]) == ("ann", ["ann", "guest", "later"], True)
    assert set(document) - {"id", "asked_for", "ids", "held", "about"} <= set(document["about"])
    assert document["profile"]["attributes"]["name"] == "ANN000"
    assert {value["key"] for received in document["profiles"] for value in received["values"]} >= {
        "name",
        "plan",
        "cart",
        "fcm",
    }
    assert [row["settings"]["categories"] for row in document["preferences"] if row["set"] == "default"] == [
        {"ANN007": True},
        {"ANN008": False},
    ]
    assert {(row["user_id"], row["primary_id"]) for row in document["lifecycle_events"]} == {
        ("guest", "ann"),
        ("later", "ann"),
    }
    # one was left behind by the merge, and one never counted: she was not known yet
    assert sorted(row["current"] for row in document["messages"]) == [False, False, True, True, True]
    assert sorted(row["current"] for row in document["caused"]) == [False, True, True, True]
    assert [row["engagements"]["read"]["set"] for row in document["messages"] if row["engagements"]] == [True]
    assert [row["skipped"] for row in document["skipped"]] == [["ann"]]
    assert [[user["id"] for user in row["job"]["users"]] for row in document["deferred_jobs"]] == [["guest"]]
    assert [[user["id"] for user in row["job"]["users"]] for row in document["dead_letters"]] == [["ann"]]


def test_the_export_of_a_merged_away_id_is_that_of_the_primary(applied: Applied) -> None:
    a_life(applied)

    document = applied.rb.users.export("guest")

    assert document.pop("asked_for") == "guest"
    expected = applied.rb.users.export("ann")
    del expected["asked_for"]
    assert document == expected


def test_rule_11_a_deleted_user_is_exported_until_erased(applied: Applied) -> None:
    marks = a_life(applied)
    applied.rb.users.delete("ann", occurred_at=NOW)
    applied.now()

    document = applied.rb.users.export("ann")

    assert (document["profile"], document["ids"]) == (None, ["ann", "guest", "later"])
    text = json.dumps(document)
    assert [mark for mark in marks if mark not in text] == []


def test_rule_10_the_export_of_a_reused_id_has_nothing_of_its_previous_user(applied: Applied) -> None:
    a_life(applied)
    applied.rb.users.delete("ann", occurred_at=NOW - timedelta(hours=2))
    applied.rb.users.identify("ann", {"hat": "red"}, occurred_at=NOW - timedelta(hours=1))
    applied.now()

    document = applied.rb.users.export("ann")

    parts = ("profile", "profiles", "preferences", "identify_log", "messages", "activities", "caused")
    assert "ANN" not in json.dumps({name: document[name] for name in parts})
    assert document["profile"]["properties"] == {"hat": "red"}
    assert document["ids"] == ["ann"]


@pytest.mark.parametrize("id_", ["nobody", "x\"y\\z'"])
def test_an_unknown_id_has_an_empty_export(applied: Applied, id_: str) -> None:
    document = applied.rb.users.export(id_)

    assert (document["held"], document["profile"], document["ids"]) == (False, None, [id_])


@pytest.mark.parametrize("id_", ['q"u\\o', "ä", "\U0001f600", "50%:x"])
def test_jobs_that_name_an_unusual_id_are_found(applied: Applied, id_: str) -> None:
    applied.rb.users.identify(id_, {"tier": 1}, delay=DAY)
    applied.now()

    document: dict[str, Any] = applied.rb.users.export(id_)

    assert [row["job"]["user"]["id"] for row in document["deferred_jobs"]] == [id_]
    assert document["deferred_jobs"][0]["job"]["kind"] == Identify.model_fields["kind"].default


@pytest.mark.parametrize("id_", ["kind", "occurred_at", "identify", "v", "name", "zoë", 'o"brien'])
def test_the_export_finds_the_jobs_of_a_user_and_not_those_with_its_id_as_a_word(applied: Applied, id_: str) -> None:
    applied.rb.users.identify(id_, {"name": "mine"}, delay=3 * DAY, job_id="mine")
    applied.rb.users.identify("other", {"name": "theirs", "is": id_}, delay=3 * DAY, job_id="theirs")
    applied.now()

    document = applied.rb.users.export(id_)

    assert [row["job_id"] for row in document["deferred_jobs"]] == ["mine"]
