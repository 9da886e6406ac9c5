"""Which job each call makes, and with which options."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from rollbook.testing import (
    AddPushToken,
    BulkDelete,
    BulkIdentify,
    BulkSetPreferences,
    Delete,
    Identify,
    Mark,
    MarkAll,
    Merge,
    RecordingRollbook,
    RemovePushToken,
    SetChannelData,
    SetPreferences,
    Trigger,
    UnsetChannelData,
    UnsetPreferences,
    UpdatePreferences,
    UserUpdate,
    recording,
)
from rollbook_shared import jobs
from rollbook_shared.domain.stamps import microseconds

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AT = microseconds(NOW)
MUTED = {"workflows": {"digest": False}}
PUSH = {"tokens": ["t1"]}
MESSAGE = UUID(int=7)


@pytest.fixture
def rb() -> RecordingRollbook:
    return recording(clock=lambda: AT)


def user_update(id_: str, **parts: Any) -> UserUpdate:
    return UserUpdate.model_validate({"id": id_, **parts})


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            lambda rb, **o: rb.users.identify("u1", {"email": "a@b.example", "plan": None}, **o),
            Identify(id="j", occurred_at=AT, user=user_update("u1", traits={"email": "a@b.example", "plan": None})),
        ),
        (lambda rb, **o: rb.users.identify("u1", **o), Identify(id="j", occurred_at=AT, user=user_update("u1"))),
        (
            lambda rb, **o: rb.users.identify(
                "u1", {"id": "u1", "preferences": {"default": MUTED}, "channel_data": {"apns": PUSH}}, **o
            ),
            Identify(
                id="j",
                occurred_at=AT,
                user=user_update("u1", preferences={"default": MUTED}, channel_data={"apns": PUSH}),
            ),
        ),
        (
            lambda rb, **o: rb.users.bulk_identify([{"id": "u1", "name": "Ann"}, {"id": "u2"}], **o),
            BulkIdentify(id="j", occurred_at=AT, users=(user_update("u1", traits={"name": "Ann"}), user_update("u2"))),
        ),
        (lambda rb, **o: rb.users.delete("u1", **o), Delete(id="j", occurred_at=AT, user_id="u1")),
        (
            lambda rb, **o: rb.users.bulk_delete((f"u{n}" for n in range(2)), **o),
            BulkDelete(id="j", occurred_at=AT, user_ids=("u0", "u1")),
        ),
        (
            lambda rb, **o: rb.users.merge("u1", from_user_id="guest", **o),
            Merge(id="j", occurred_at=AT, primary_id="u1", secondary_id="guest"),
        ),
        (
            lambda rb, **o: rb.users.set_preferences("u1", "default", MUTED, **o),
            SetPreferences(
                id="j", occurred_at=AT, user_id="u1", set_id="default", settings={"workflows": {"digest": False}}
            ),
        ),
        (
            lambda rb, **o: rb.users.update_preferences("u1", "default", {"workflows": {"digest": None}}, **o),
            UpdatePreferences(
                id="j", occurred_at=AT, user_id="u1", set_id="default", changes={"workflows": {"digest": None}}
            ),
        ),
        (
            lambda rb, **o: rb.users.unset_preferences("u1", "default", **o),
            UnsetPreferences(id="j", occurred_at=AT, user_id="u1", set_id="default"),
        ),
        (
            lambda rb, **o: rb.users.bulk_set_preferences(["u1"], "acme", MUTED, **o),
            BulkSetPreferences(
                id="j", occurred_at=AT, user_ids=("u1",), set_id="acme", settings={"workflows": {"digest": False}}
            ),
        ),
        (
            lambda rb, **o: rb.users.set_channel_data("u1", "apns", MappingProxyType(PUSH), **o),
            SetChannelData(id="j", occurred_at=AT, user_id="u1", channel_id="apns", data=PUSH),
        ),
        (
            lambda rb, **o: rb.users.unset_channel_data("u1", "apns", **o),
            UnsetChannelData(id="j", occurred_at=AT, user_id="u1", channel_id="apns"),
        ),
        (
            lambda rb, **o: rb.workflows.trigger(
                "new-comment",
                recipients=["u1", {"id": "u3", "name": "Cy"}],
                actor={"id": "u2", "name": "Bo"},
                data={"comment": 7},
                tenant="acme",
                channels=["in_app", "push"],
                **o,
            ),
            Trigger(
                id="j",
                occurred_at=AT,
                workflow="new-comment",
                recipients=("u1", user_update("u3", traits={"name": "Cy"})),
                actor=user_update("u2", traits={"name": "Bo"}),
                data={"comment": 7},
                tenant="acme",
                channels=("in_app", "push"),
            ),
        ),
        (
            lambda rb, **o: rb.users.add_push_token("u1", "apns", "t1", MappingProxyType({"locale": "de"}), **o),
            AddPushToken(id="j", occurred_at=AT, user_id="u1", channel_id="apns", token="t1", device={"locale": "de"}),
        ),
        (
            lambda rb, **o: rb.users.remove_push_token("u1", "apns", "t1", **o),
            RemovePushToken(id="j", occurred_at=AT, user_id="u1", channel_id="apns", token="t1"),
        ),
        (
            lambda rb, **o: rb.messages.mark([str(MESSAGE)], "interacted", user_id="u1", **o),
            Mark(id="j", occurred_at=AT, message_ids=(MESSAGE,), engagement="interacted", user_id="u1"),
        ),
        (
            lambda rb, **o: rb.messages.mark_all("u1", "read", **o),
            MarkAll(id="j", occurred_at=AT, user_id="u1", channel="in_app", engagement="read"),
        ),
        (
            lambda rb, **o: rb.workflows.trigger("hello", ["u1"], actor="u2", **o),
            Trigger(id="j", occurred_at=AT, workflow="hello", recipients=("u1",), actor="u2"),
        ),
    ],
)
def test_each_call_makes_its_job(rb: RecordingRollbook, call: Callable[..., Any], expected: jobs.Job) -> None:
    handle = call(rb, job_id="j")

    assert rb.sent == [expected]
    assert (handle.id, handle.kind) == ("j", expected.kind)


def test_each_job_without_an_id_gets_a_new_one(rb: RecordingRollbook) -> None:
    ids = {rb.users.delete("u1").id for _ in range(100)}

    assert len(ids) == 100
    assert ids == {job.id for job in rb.sent}


def test_occurred_at_keeps_its_microseconds_in_every_time_zone(rb: RecordingRollbook) -> None:
    time = datetime(2026, 11, 23, 13, 59, 59, 123457, tzinfo=timezone(timedelta(hours=2)))

    rb.users.delete("u1", occurred_at=time)

    assert rb.sent[0].occurred_at == microseconds(datetime(2026, 11, 23, 11, 59, 59, 123457, tzinfo=UTC))


@pytest.mark.parametrize(
    "time", [NOW + timedelta(minutes=5), datetime(1970, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC)]
)
def test_times_within_the_bounds_are_accepted(rb: RecordingRollbook, time: datetime) -> None:
    rb.users.delete("u1", occurred_at=time)

    assert rb.sent[0].occurred_at == microseconds(time)


def test_each_user_of_a_bulk_job_may_have_its_own_timestamp(rb: RecordingRollbook) -> None:
    hour = timedelta(hours=1)

    rb.users.bulk_identify([{"id": "u1"}, {"id": "u2"}], timestamps=(NOW - hour * n for n in (1, 2)))
    rb.users.bulk_identify([{"id": "u1"}], timestamps=[NOW - hour], occurred_at=NOW)

    first, second = rb.sent.of(BulkIdentify)
    assert first.timestamps == (AT - 3_600_000_000, AT - 7_200_000_000)
    assert first.occurred_at == first.timestamps[0]
    assert (second.timestamps, second.occurred_at) == ((AT - 3_600_000_000,), AT)


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({"run_at": NOW + timedelta(days=3)}, NOW + timedelta(days=3)),
        ({"run_at": datetime(3000, 1, 1, tzinfo=timezone(timedelta(hours=-5)))}, datetime(3000, 1, 1, 5, tzinfo=UTC)),
        ({"run_at": NOW - timedelta(days=1)}, NOW - timedelta(days=1)),
        ({"delay": timedelta(days=3)}, NOW + timedelta(days=3)),
        ({"delay": 90}, NOW + timedelta(seconds=90)),
        ({"delay": 0.25}, NOW + timedelta(microseconds=250_000)),
        ({"delay": 0}, NOW),
    ],
)
def test_rule_29_a_deferred_job_is_stamped_with_the_time_it_is_due(
    rb: RecordingRollbook, options: dict[str, Any], due: datetime
) -> None:
    rb.workflows.trigger("welcome", ["u1"], **options)

    assert (rb.sent[0].occurred_at, rb.sent[0].deferred, rb.sent[0].requested_at) == (microseconds(due), True, AT)


def test_rule_29_every_write_can_be_deferred(rb: RecordingRollbook) -> None:
    rb.users.identify("u1", delay=1)
    rb.users.bulk_identify([{"id": "u1"}], delay=1)
    rb.users.delete("u1", delay=1)
    rb.users.bulk_delete(["u1"], delay=1)
    rb.users.merge("u1", "guest", delay=1)
    rb.users.set_preferences("u1", "default", MUTED, delay=1)
    rb.users.update_preferences("u1", "default", MUTED, delay=1)
    rb.users.unset_preferences("u1", "default", delay=1)
    rb.users.bulk_set_preferences(["u1"], "default", MUTED, delay=1)
    rb.users.set_channel_data("u1", "apns", PUSH, delay=1)
    rb.users.unset_channel_data("u1", "apns", delay=1)
    rb.workflows.trigger("hello", ["u1"], delay=1)
    rb.messages.mark_all("u1", "read", delay=1)
    rb.users.add_push_token("u1", "apns", "t1", delay=1)
    rb.users.remove_push_token("u1", "apns", "t1", delay=1)

    assert {job.kind for job in rb.sent} == set(jobs.KINDS) - {"mark"}
    assert {(job.occurred_at, job.deferred) for job in rb.sent} == {(AT + 1_000_000, True)}


def test_created_at_as_a_datetime_becomes_rfc_3339(rb: RecordingRollbook) -> None:
    rb.users.identify("u1", {"created_at": datetime(2026, 1, 31, 10, 30, tzinfo=timezone(timedelta(hours=1)))})

    assert rb.sent.of(Identify)[0].user.traits["created_at"] == "2026-01-31T09:30:00Z"


def test_every_kind_of_json_value_and_the_longest_names_are_accepted(rb: RecordingRollbook) -> None:
    values = {"text": "é\n\U0001f600", "number": 1.5, "int": -(2**70), "yes": True, "none": None, "list": [{}], "": "x"}

    rb.users.identify("u" * 256, values, job_id="j" * 128)

    assert rb.sent.of(Identify)[0].user.traits == values


def test_the_callers_mapping_is_not_changed(rb: RecordingRollbook) -> None:
    traits = {"id": "u1", "created_at": NOW, "preferences": {"default": MUTED}, "plan": "pro"}
    before = dict(traits)

    rb.users.identify("u1", traits)

    assert traits == before
