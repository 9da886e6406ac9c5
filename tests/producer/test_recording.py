"""What applications get for their own tests."""

from __future__ import annotations

from typing import Any

import pytest

from rollcall import NotConfigured, NotSent
from rollcall.testing import BulkIdentify, Delete, Identify, RecordingRollcall, Trigger, recording


def test_jobs_are_kept_in_the_order_they_were_sent() -> None:
    rc = recording()

    ids = [rc.users.identify("u1").id, rc.users.delete("u1").id]

    assert [job.id for job in rc.sent] == ids
    rc.sent.clear()
    assert rc.sent == []


def test_jobs_are_found_by_kind_and_by_user() -> None:
    rc = recording()
    rc.users.identify("u1")
    rc.users.bulk_identify([{"id": "u1"}, {"id": "u2"}])
    rc.users.merge("u1", "guest")
    rc.users.bulk_delete(["u2"])
    rc.users.set_preferences("u2", "default", {})
    rc.workflows.trigger("w", ["u3", {"id": "u4"}], actor="u2")

    assert [job.user.id for job in rc.sent.of(Identify)] == ["u1"]
    assert [job.kind for job in rc.sent.about("u1")] == ["identify", "bulk_identify", "merge"]
    assert [job.kind for job in rc.sent.about("u2")] == [
        "bulk_identify",
        "bulk_delete",
        "set_preferences",
        "trigger",
    ]
    assert rc.sent.about("u4") == rc.sent.of(Trigger) == rc.sent.about("u3")
    assert rc.sent.about("guest")[0].kind == "merge"
    assert rc.sent.of(Delete) == []
    assert len(rc.sent.of(BulkIdentify)[0].users) == 2


def test_a_recorded_job_stays_as_it_was_sent() -> None:
    rc = recording()
    traits: dict[str, Any] = {"address": {"city": "Ulm"}}

    rc.users.identify("u1", traits)
    traits["address"]["city"] = "Bonn"

    assert rc.sent.of(Identify)[0].user.traits == {"address": {"city": "Ulm"}}


def test_a_broker_that_is_down_can_be_played() -> None:
    rc = recording()
    rc.sender.is_down = True

    with pytest.raises(NotSent) as failure:
        rc.users.delete("u1", job_id="j1")

    assert failure.value.job_id == "j1"
    assert rc.sent == []


def test_reading_from_a_recording_says_that_there_is_no_database() -> None:
    with pytest.raises(NotConfigured):
        recording().users.get("u1")


def test_each_test_gets_a_recording_of_its_own(rollcall_recording: RecordingRollcall) -> None:
    assert rollcall_recording.sent == []
    rollcall_recording.users.delete("u1")


def test_each_test_gets_a_recording_of_its_own_again(rollcall_recording: RecordingRollcall) -> None:
    assert rollcall_recording.sent == []
