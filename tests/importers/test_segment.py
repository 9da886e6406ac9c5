"""Calls of Segment's spec, as jobs: identifies at their time, aliases as merges, the others counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.interrupted_import import run_import

from rollbook.testing import BulkIdentify, Merge, RecordingRollbook, UserUpdate, recording
from rollbook_ops.importers import Checkpoint, FileFormat, ImportOptions, RejectedRow, RejectedRows
from rollbook_shared.domain.stamps import datetime_of

SEGMENT = ImportOptions(format=FileFormat.SEGMENT)
WITH_VISITORS = ImportOptions(format=FileFormat.SEGMENT, anonymous=True)
AT = "2015-02-23T22:28:55.111Z"


def identify(user_id: Any = "ann", /, **fields: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user_id, "timestamp": AT, "traits": {}, **fields}


def imported(
    rollbook: RecordingRollbook,
    tmp_path: Path,
    *calls: Any,
    options: ImportOptions = SEGMENT,
    rejected_rows: RejectedRows | None = None,
) -> Checkpoint:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(call) + "\n" for call in calls))
    return run_import(rollbook, file, options, rejected_rows)


def sent_users(rollbook: RecordingRollbook) -> list[UserUpdate]:
    return [user for job in rollbook.sent.of(BulkIdentify) for user in job.users if isinstance(user, UserUpdate)]


def traits_of(tmp_path: Path, call: dict[str, Any]) -> dict[str, Any]:
    rollbook = recording()
    imported(rollbook, tmp_path, call)
    (user,) = sent_users(rollbook)
    return user.traits


def merges(rollbook: RecordingRollbook) -> list[tuple[str, str]]:
    return [(job.primary_id, job.secondary_id) for job in rollbook.sent.of(Merge)]


def rejected(tmp_path: Path, call: Any, options: ImportOptions = SEGMENT) -> RejectedRow:
    rejected_rows, rollbook = RejectedRows(), recording()
    imported(rollbook, tmp_path, call, options=options, rejected_rows=rejected_rows)
    assert not rollbook.sent
    (refusal,) = rejected_rows.first
    return refusal


def test_an_identify_happened_at_its_timestamp(tmp_path: Path) -> None:
    rollbook = recording()
    other = "2015-02-24T00:00:00Z"

    imported(rollbook, tmp_path, identify(traits={"plan": "pro"}), identify("bo", timestamp=other))

    (job,) = rollbook.sent.of(BulkIdentify)
    assert [user.id for user in sent_users(rollbook)] == ["ann", "bo"]
    assert [datetime_of(at).isoformat() for at in job.timestamps] == [
        "2015-02-23T22:28:55.111000+00:00",
        "2015-02-24T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    "times",
    [
        {"timestamp": AT, "originalTimestamp": "2020-01-01", "receivedAt": "2020-01-01", "sentAt": "2020-01-01"},
        {"originalTimestamp": AT, "receivedAt": "2020-01-01", "sentAt": "2020-01-01"},
        {"receivedAt": AT, "sentAt": "2020-01-01"},
        {"sentAt": AT},
    ],
)
def test_the_best_of_several_times_is_used(tmp_path: Path, times: dict[str, str]) -> None:
    rollbook = recording()

    imported(rollbook, tmp_path, identify(**{"timestamp": None, **times}))

    (job,) = rollbook.sent.of(BulkIdentify)
    assert datetime_of(job.timestamps[0]).isoformat() == "2015-02-23T22:28:55.111000+00:00"


def test_known_traits_become_attributes(tmp_path: Path) -> None:
    traits = {
        "name": "Peter Gibbons",
        "email": "peter@example.com",
        "phone": "+14155550100",
        "avatar": "https://example.com/p.png",
        "createdAt": "2014-01-01T00:00:00+01:00",
        "plan": "premium",
        "logins": 5,
        "address": {"city": "San Francisco"},
    }

    assert traits_of(tmp_path, identify(traits=traits)) == {
        "name": "Peter Gibbons",
        "email": "peter@example.com",
        "phone_number": "+14155550100",
        "avatar": "https://example.com/p.png",
        "created_at": "2013-12-31T23:00:00Z",
        "plan": "premium",
        "logins": 5,
        "address": {"city": "San Francisco"},
    }


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ({"firstName": "Ann", "lastName": "Lee"}, {"firstName": "Ann", "lastName": "Lee", "name": "Ann Lee"}),
        ({"first_name": "Ann", "last_name": "Lee"}, {"first_name": "Ann", "last_name": "Lee", "name": "Ann Lee"}),
        ({"firstName": "Ann", "lastName": "Lee", "name": None}, {"firstName": "Ann", "lastName": "Lee", "name": None}),
        ({"firstName": "Ann"}, {"firstName": "Ann"}),
        ({"firstName": "Ann", "lastName": ""}, {"firstName": "Ann", "lastName": ""}),
        ({"phone": "(415) 555-0100"}, {"phone": "(415) 555-0100"}),
        ({"phone": None}, {"phone_number": None}),
        ({"phone": "+1", "phone_number": "+14155550100"}, {"phone": "+1", "phone_number": "+14155550100"}),
        ({"created_at": 1424730535}, {"created_at": "2015-02-23T22:28:55Z"}),
        ({"createdAt": "2015-02-23"}, {"created_at": "2015-02-23T00:00:00Z"}),
        ({"createdAt": "long ago"}, {"createdAt": "long ago"}),
        ({"email": "", "avatar": "", "note": ""}, {"note": ""}),
        ({"email": None}, {"email": None}),
        ({"id": "ann"}, {}),
        (None, {}),
    ],
)
def test_traits_are_converted(tmp_path: Path, traits: Any, expected: dict[str, Any]) -> None:
    assert traits_of(tmp_path, identify(traits=traits)) == expected


def test_locale_and_time_zone_default_to_the_context(tmp_path: Path) -> None:
    context = {"locale": "en-US", "timezone": "Europe/Amsterdam", "ip": "8.8.8.8"}

    assert traits_of(tmp_path, identify(context=context)) == {"locale": "en-US", "timezone": "Europe/Amsterdam"}
    assert traits_of(tmp_path, identify(context=context, traits={"locale": "nl"}))["locale"] == "nl"


def test_traits_of_the_context_are_used_only_without_others(tmp_path: Path) -> None:
    context = {"traits": {"plan": "pro"}}

    assert traits_of(tmp_path, identify(context=context, traits=None)) == {"plan": "pro"}
    assert traits_of(tmp_path, identify(context=context, traits={"seats": 5})) == {"seats": 5}


def test_unsupported_fields_are_left_out_and_counted(tmp_path: Path) -> None:
    rollbook = recording()
    reserved = {"id": 7, "updated_at": AT, "preferences": {"ads": False}, "channel_data": {}, "plan": "pro"}

    end = imported(
        rollbook, tmp_path, identify(traits=reserved, context={"timezone": "GMT+1"}), identify(traits={"id": 1})
    )

    assert [user.traits for user in sent_users(rollbook)] == [{"plan": "pro"}, {}]
    assert end.left_out == {
        "traits.id": 2,
        "traits.updated_at": 1,
        "traits.preferences": 1,
        "traits.channel_data": 1,
        "context.timezone": 1,
    }


def test_numbers_as_ids_are_text(tmp_path: Path) -> None:
    rollbook = recording()

    imported(rollbook, tmp_path, identify(42, traits={"id": 42}), {**identify(7), "type": "alias", "previousId": 6})

    assert [user.id for user in sent_users(rollbook)] == ["42"]
    assert merges(rollbook) == [("7", "6")]


def test_an_alias_is_a_merge_at_its_timestamp(tmp_path: Path) -> None:
    rollbook = recording()

    end = imported(rollbook, tmp_path, {"type": "alias", "userId": "ann", "previousId": "guest", "timestamp": AT})

    (job,) = rollbook.sent.of(Merge)
    assert (job.primary_id, job.secondary_id) == ("ann", "guest")
    assert datetime_of(job.occurred_at).isoformat() == "2015-02-23T22:28:55.111000+00:00"
    assert (end.users, end.merges, end.jobs) == (0, 1, 1)


def test_other_calls_are_counted_by_type(tmp_path: Path) -> None:
    rollbook = recording()
    others = [{"type": kind, "userId": "ann"} for kind in ("track", "track", "page", "screen", "group")]
    itself = {"type": "alias", "userId": "ann", "previousId": "ann", "timestamp": AT}

    end = imported(rollbook, tmp_path, *others, identify(None, anonymousId="a1"), itself)

    assert not rollbook.sent
    assert end.rejected == 0
    assert end.skipped == {
        "track": 2,
        "page": 1,
        "screen": 1,
        "group": 1,
        "identify without userId": 1,
        "alias to itself": 1,
    }


def test_visitors_are_users_if_wanted_and_are_merged(
    tmp_path: Path,
) -> None:
    rollbook = recording()
    both = identify("ann", anonymousId="a1")

    imported(rollbook, tmp_path, identify(None, anonymousId="a1"), both, both, identify("bo"), options=WITH_VISITORS)

    assert [user.id for user in sent_users(rollbook)] == ["a1", "ann", "ann", "bo"]
    assert merges(rollbook) == [("ann", "a1")]


def test_visitors_are_not_users_by_default(tmp_path: Path) -> None:
    rollbook = recording()

    imported(rollbook, tmp_path, identify("ann", anonymousId="a1"))

    assert merges(rollbook) == []


@pytest.mark.parametrize(
    "document", [[identify("ann"), identify("bo")], {"batch": [identify("ann"), identify("bo")], "sentAt": AT}]
)
def test_lists_and_batches_contain_calls(tmp_path: Path, document: Any) -> None:
    rollbook = recording()

    imported(rollbook, tmp_path, document)

    assert [user.id for user in sent_users(rollbook)] == ["ann", "bo"]


@pytest.mark.parametrize(
    ("call", "field", "reason"),
    [
        (5, "", "is not a JSON object"),
        ({"userId": "ann"}, "type", "is required"),
        ({"type": "delete", "userId": "ann"}, "type", "must be identify, alias, track"),
        ({"type": ["identify"]}, "type", "must be identify, alias, track"),
        (identify(timestamp=None), "timestamp", "is required, unless --occurred-at gives the time"),
        (identify(timestamp="yesterday"), "timestamp", "must be a time"),
        (identify(timestamp="1969-07-20T20:17:40Z"), "timestamp", "must not be before 1970"),
        (identify(timestamp=None, receivedAt="2999-01-01"), "receivedAt", "is more than 5 minutes ahead"),
        (identify(None), "userId", "is required"),
        (identify("a/b"), "userId", "must not contain / or #"),
        (identify(["ann"]), "userId", "must"),
        (identify(traits=["plan"]), "traits", "must be an object"),
        (identify(traits={"email": "nowhere"}), "traits.email", "must be an e-mail address"),
        (identify(traits={"phone_number": "5"}), "traits.phone_number", "must be a phone number"),
        (identify(traits={"address": {"x": float("nan")}}), "traits.address.x", "is not a finite number"),
        ({"batch": [identify(traits={"email": "nowhere"})]}, "batch[0].traits.email", "must be an e-mail address"),
        ({"type": "alias", "userId": "ann", "timestamp": AT}, "previousId", "is required"),
        ({"type": "alias", "previousId": "a1", "timestamp": AT}, "userId", "is required"),
        ({"type": "alias", "userId": "ann", "previousId": "a/1", "timestamp": AT}, "previousId", "must not contain"),
        ({"type": "alias", "userId": "ann", "previousId": "a1", "timestamp": "2999"}, "timestamp", "must be a time"),
        (
            {"type": "alias", "userId": "ann", "previousId": "a1", "timestamp": "2999-01-01"},
            "timestamp",
            "is more than",
        ),
    ],
)
def test_invalid_calls_are_rejected_with_field_and_reason(tmp_path: Path, call: Any, field: str, reason: str) -> None:
    refusal = rejected(tmp_path, call)

    assert (refusal.line, refusal.field) == (1, field)
    assert refusal.reason.startswith(reason)


def test_an_invalid_visitor_id_is_rejected_under_its_own_field(tmp_path: Path) -> None:
    assert rejected(tmp_path, identify(None, anonymousId="a/1"), WITH_VISITORS).field == "anonymousId"


def test_calls_without_a_time_have_that_of_the_option(tmp_path: Path) -> None:
    rollbook = recording()
    options = ImportOptions(format=FileFormat.SEGMENT, occurred_at=datetime_of(1_700_000_000_000_000))

    imported(rollbook, tmp_path, identify(timestamp=None), identify("bo"), options=options)

    (job,) = rollbook.sent.of(BulkIdentify)
    assert job.timestamps[0] == 1_700_000_000_000_000
    assert datetime_of(job.timestamps[1]).year == 2015


def test_a_log_with_few_identifies_makes_full_jobs(tmp_path: Path) -> None:
    rollbook = recording()
    track = {"type": "track", "userId": "ann"}

    imported(rollbook, tmp_path, *(call for number in range(10) for call in (*[track] * 15, identify(f"u{number}"))))

    assert [len(job.users) for job in rollbook.sent.of(BulkIdentify)] == [5, 5]
