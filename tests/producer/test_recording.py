"""The recording client, which applications use in their own tests."""

from __future__ import annotations

from typing import Any

import pytest

from rollbook import NotConfigured, NotSent
from rollbook.testing import BulkIdentify, Delete, Identify, RecordingRollbook, Trigger, recording


def test_jobs_are_kept_in_the_order_they_were_sent() -> None:
    rb = recording()

    ids = [rb.users.identify("u1").id, rb.users.delete("u1").id]

    assert [job.id for job in rb.sent] == ids
    rb.sent.clear()
    assert rb.sent == []


def test_jobs_are_found_by_kind_and_by_user() -> None:
    rb = recording()
    rb.users.identify("u1")
    rb.users.bulk_identify([{"id": "u1"}, {"id": "u2"}])
    rb.users.merge("u1", "guest")
    rb.users.bulk_delete(["u2"])
    rb.users.set_preferences("u2", "default", {})
    rb.workflows.trigger("w", ["u3", {"id": "u4"}], actor="u2")

    assert [job.user.id for job in rb.sent.of(Identify)] == ["u1"]
    assert [job.kind for job in rb.sent.about("u1")] == ["identify", "bulk_identify", "merge"]
    assert [job.kind for job in rb.sent.about("u2")] == [
        "bulk_identify",
        "bulk_delete",
        "set_preferences",
        "trigger",
    ]
    assert rb.sent.about("u4") == rb.sent.of(Trigger) == rb.sent.about("u3")
    assert rb.sent.about("guest")[0].kind == "merge"
    assert rb.sent.of(Delete) == []
    assert len(rb.sent.of(BulkIdentify)[0].users) == 2


def test_a_recorded_job_stays_as_it_was_sent() -> None:
    rb = recording()
    traits: dict[str, Any] = {"address": {"city": "Ulm"}}

    rb.users.identify("u1", traits)
    traits["address"]["city"] = "Bonn"

    assert rb.sent.of(Identify)[0].user.traits == {"address": {"city": "Ulm"}}


def test_a_broker_that_is_down_can_be_simulated() -> None:
    rb = recording()
    rb.publisher.is_down = True

    with pytest.raises(NotSent) as failure:
        rb.users.delete("u1", job_id="j1")

    assert failure.value.job_id == "j1"
    assert rb.sent == []


def test_a_read_of_a_recording_says_that_there_is_no_database() -> None:
    with pytest.raises(NotConfigured):
        recording().users.get("u1")


def test_each_test_gets_a_recording_of_its_own(rollbook_recording: RecordingRollbook) -> None:
    assert rollbook_recording.sent == []
    rollbook_recording.users.delete("u1")


def test_each_test_gets_a_recording_of_its_own_again(rollbook_recording: RecordingRollbook) -> None:
    assert rollbook_recording.sent == []
