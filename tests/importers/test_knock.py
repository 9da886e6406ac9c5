"""Users, preferences and channel data in Knock's formats, as jobs; and what is rejected, not lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.interrupted_import import STARTED, run_import

from rollbook.testing import BulkIdentify, RecordingRollbook, UserUpdate, recording
from rollbook_ops.importers import FileFormat, ImportOptions, RejectedRow, RejectedRows
from rollbook_shared.domain.stamps import datetime_of, microseconds

KNOCK = ImportOptions(format=FileFormat.KNOCK)
APNS = "97c5837d-c65c-4d54-aa39-080eeb81c69d"

ANN = {
    "__typename": "User",
    "id": "ann",
    "name": "Ann",
    "email": "ann@example.com",
    "phone_number": None,
    "avatar": None,
    "timezone": "Europe/Berlin",
    "created_at": "2024-05-22T12:00:00Z",
    "updated_at": "2026-03-01T10:00:00Z",
    "plan": "pro",
    "address": {"city": "Austin"},
    "nickname": None,
}


@pytest.fixture
def rollbook() -> RecordingRollbook:
    return recording()


def imported(
    rollbook: RecordingRollbook, tmp_path: Path, *documents: Any, rejected_rows: RejectedRows | None = None
) -> Any:
    file = tmp_path / "knock.json"
    file.write_text("".join(json.dumps(document, indent=2) + "\n" for document in documents))
    return run_import(rollbook, file, KNOCK, rejected_rows)


def sent_users(rollbook: RecordingRollbook) -> list[UserUpdate]:
    return [user for job in rollbook.sent.of(BulkIdentify) for user in job.users if isinstance(user, UserUpdate)]


def rejected(tmp_path: Path, *documents: Any) -> list[RejectedRow]:
    rejected_rows, rollbook = RejectedRows(), recording()
    end = imported(rollbook, tmp_path, *documents, rejected_rows=rejected_rows)
    assert not rollbook.sent
    assert end.rejected == rejected_rows.records > 0
    return rejected_rows.first


def test_users_of_a_page_have_the_time_of_their_update(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    page = {"entries": [ANN, {**ANN, "id": "bo", "updated_at": "2026-03-02T10:00:00Z"}], "page_info": {"after": None}}

    imported(rollbook, tmp_path, page)

    (job,) = rollbook.sent.of(BulkIdentify)
    ann, bo = sent_users(rollbook)
    assert (ann.id, bo.id) == ("ann", "bo")
    assert ann.traits == {
        "name": "Ann",
        "email": "ann@example.com",
        "timezone": "Europe/Berlin",
        "created_at": "2024-05-22T12:00:00Z",
        "plan": "pro",
        "address": {"city": "Austin"},
        "nickname": None,
    }
    assert [datetime_of(at).isoformat() for at in job.timestamps] == [
        "2026-03-01T10:00:00+00:00",
        "2026-03-02T10:00:00+00:00",
    ]


def test_users_of_a_bulk_body_have_the_time_of_the_import(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    imported(rollbook, tmp_path, {"users": [{"id": "ann", "email": None, "plan": "pro"}, {"id": "bo"}]})

    (job,) = rollbook.sent.of(BulkIdentify)
    assert (job.occurred_at, job.timestamps) == (STARTED, ())
    assert [(user.id, user.traits) for user in sent_users(rollbook)] == [
        ("ann", {"email": None, "plan": "pro"}),
        ("bo", {}),
    ]


def test_users_with_and_without_a_time_share_a_job(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    imported(rollbook, tmp_path, ANN, {"id": "bo"})

    (job,) = rollbook.sent.of(BulkIdentify)
    assert job.timestamps == (microseconds(datetime(2026, 3, 1, 10, tzinfo=UTC)), STARTED)
    assert job.occurred_at == STARTED


@pytest.mark.parametrize("layout", ["list", "list of pages", "one a line"])
def test_users_may_have_any_layout(rollbook: RecordingRollbook, tmp_path: Path, layout: str) -> None:
    users = [{"id": f"u{number}"} for number in range(7)]
    documents: dict[str, list[Any]] = {
        "list": [users],
        "list of pages": [[{"entries": users[:4]}, {"users": users[4:]}]],
        "one a line": users,
    }

    imported(rollbook, tmp_path, *documents[layout])

    assert [user.id for user in sent_users(rollbook)] == [user["id"] for user in users]


def test_preferences_and_channel_data_within_a_user_are_kept(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    user = {
        "id": "ann",
        "preferences": {
            "default": {
                "__persistence_strategy__": "replace",
                "categories": {"marketing": False, "ops": {"channel_types": {"email": False, "sms": None}}},
                "workflows": None,
                "channel_types": {"in_app_feed": False, "push": True, "chat": {"conditions": []}},
            },
            "acme": {"workflows": {"digest": True, "nothing": {"channel_types": None}}},
        },
        "channel_data": {APNS: {"tokens": ["t1"]}},
    }

    imported(rollbook, tmp_path, user)

    (ann,) = sent_users(rollbook)
    assert ann.preferences == {
        "default": {
            "categories": {"marketing": False, "ops": {"channel_types": {"email": False}}},
            "channel_types": {"in_app": False, "push": True},
        },
        "acme": {"workflows": {"digest": True}},
    }
    assert ann.channel_data == {APNS: {"tokens": ["t1"]}}


def test_collected_api_responses_are_accepted(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    slack = {"connections": [{"channel_id": "C1"}], "token": {"access_token": "x"}}
    user = {
        "id": "ann",
        "preferences": [{"__typename": "PreferenceSet", "id": "default", "channel_types": {"sms": False}}],
        "channel_data": [
            {"__typename": "ChannelData", "channel_id": APNS, "provider": "push_apns", "data": {"tokens": ["t1"]}},
            {"__typename": "ChannelData", "channel_id": "slack", "provider": "chat_slack", "data": slack},
        ],
    }

    imported(rollbook, tmp_path, user)

    (ann,) = sent_users(rollbook)
    assert ann.preferences == {"default": {"channel_types": {"sms": False}}}
    assert ann.channel_data == {APNS: {"tokens": ["t1"]}, "slack": slack}


def test_bulk_preferences_apply_to_each_user(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    body = {"preferences": {"id": "acme", "categories": {"ads": False}}, "user_ids": ["ann", "bo"]}
    without_id = {"preferences": {"categories": {"ads": True}}, "user_ids": ["cy"]}

    imported(rollbook, tmp_path, body, without_id)

    assert [(user.id, user.preferences) for user in sent_users(rollbook)] == [
        ("ann", {"acme": {"categories": {"ads": False}}}),
        ("bo", {"acme": {"categories": {"ads": False}}}),
        ("cy", {"default": {"categories": {"ads": True}}}),
    ]


CONDITIONS = [{"variable": "recipient.country", "operator": "equal_to", "argument": "US"}]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"channel_types": {"sms": {"conditions": CONDITIONS}}}, "channel_types.sms.conditions"),
        ({"workflows": {"digest": {"conditions": CONDITIONS}}}, "workflows.digest.conditions"),
        (
            {"categories": {"ads": {"channel_types": {"sms": {"conditions": CONDITIONS}}}}},
            "categories.ads.channel_types.sms.conditions",
        ),
        ({"categories": {"ads": {"channels": {APNS: False}}}}, "categories.ads.channels"),
        ({"channels": {APNS: {"conditions": CONDITIONS}}}, "channels"),
        ({"commercial_subscribed": False}, "commercial_subscribed"),
        ({"commercial_subscribed": {"conditions": CONDITIONS}}, "commercial_subscribed"),
        ({"__persistence_strategy__": "merge", "categories": {"ads": False}}, "__persistence_strategy__"),
    ],
)
def test_a_setting_that_may_suppress_messages_is_rejected(tmp_path: Path, settings: dict[str, Any], field: str) -> None:
    (refusal,) = rejected(tmp_path, {"entries": [{"id": "ann", "preferences": {"default": settings}}]})

    assert (refusal.line, refusal.field) == (1, f"entries[0].preferences.default.{field}")


def test_a_setting_that_allows_messages_is_left_out_and_counted(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    settings = {"categories": {"ads": False}, "channels": {APNS: True}, "commercial_subscribed": True}

    end = imported(rollbook, tmp_path, {"id": "ann", "preferences": {"default": settings}})

    (ann,) = sent_users(rollbook)
    assert ann.preferences == {"default": {"categories": {"ads": False}}}
    assert end.left_out == {"channels": 1, "commercial_subscribed": 1}


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        ("nonsense", "", "is not a JSON object"),
        ({"name": "Ann"}, "id", "is required"),
        ({"id": "default", "workflows": {}, "categories": {}, "channel_types": {}}, "", "is a preference set"),
        ([{"__typename": "PreferenceSet", "id": "default"}], "[0]", "is a preference set"),
        ({"channel_id": APNS, "data": {"tokens": []}}, "", "is channel data"),
        ({"user_ids": ["ann"]}, "", "is a bulk delete; an import deletes no users"),
        ({"id": "ann", "updated_at": "yesterday"}, "updated_at", "must be a time"),
        ({"id": "ann", "updated_at": "2999-01-01T00:00:00Z"}, "updated_at", "is more than 5 minutes ahead"),
        ({"users": [{"id": "ann", "email": "ann at example.com"}]}, "users[0].email", "must be an e-mail address"),
        ({"id": "ann", "address": {"x\0": 1}}, "address", "has a key that holds a NUL"),
        ({"id": "ann", "preferences": [{"categories": {}}]}, "preferences[0].id", "is required"),
        ({"id": "ann", "preferences": {"default": {"ads": 1}}}, "preferences.default.ads", "is not a known field"),
        ({"id": "ann", "channel_data": "t1"}, "channel_data", "must be"),
        ({"preferences": {}, "user_ids": ["a/b"]}, "user_ids[0]", "must not contain / or #"),
        ({"preferences": {"x": 1}, "user_ids": ["bo"]}, "user_ids[0].preferences.default.x", "is not a known field"),
    ],
)
def test_invalid_documents_are_rejected_with_field_and_reason(
    tmp_path: Path, document: Any, field: str, reason: str
) -> None:
    (refusal,) = rejected(tmp_path, document)

    assert refusal.line == 1
    assert refusal.field.startswith(field)
    assert bool(refusal.field) == bool(field)
    assert refusal.reason.startswith(reason)


def test_an_invalid_user_of_a_page_costs_only_itself(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    rejected_rows = RejectedRows()

    end = imported(rollbook, tmp_path, {"entries": [{"id": "a/b"}, ANN, {"id": "c#d"}]}, rejected_rows=rejected_rows)

    assert [user.id for user in sent_users(rollbook)] == ["ann"]
    assert [refusal.field for refusal in rejected_rows.first] == ["entries[0].id", "entries[2].id"]
    assert (end.users, end.rejected) == (1, 2)


def test_objects_are_skipped(rollbook: RecordingRollbook, tmp_path: Path) -> None:
    objects = [{"__typename": "Object", "id": "p1", "collection": "projects"}, {"id": "p2", "collection": "projects"}]

    end = imported(rollbook, tmp_path, objects)

    assert not rollbook.sent
    assert (end.skipped, end.rejected) == ({"objects": 2}, 0)


def test_a_missing_last_page_is_reported(tmp_path: Path) -> None:
    first, last = ({"entries": [], "page_info": {"after": after}} for after in ("g3QAAA", None))

    (refusal,) = rejected(tmp_path, first, first)

    assert refusal.field == "page_info.after"
    assert imported(recording(), tmp_path, first, last).rejected == 0
