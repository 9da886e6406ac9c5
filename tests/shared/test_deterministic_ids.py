"""Ids of activities and messages: those of version 5, as every library makes them."""

from __future__ import annotations

import copy
import pickle
import uuid

from hypothesis import given
from tests.support.arbitrary_jobs import job_ids, keys, user_ids
from tests.support.example_counts import examples

from rollbook_shared.domain.deterministic_ids import activity_id, message_id

NAMESPACE = uuid.UUID("6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11")


@examples(200)
@given(job_ids, user_ids, keys)
def test_ids_are_those_of_version_5(job_id: str, recipient: str, channel: str) -> None:
    assert activity_id(job_id, recipient) == uuid.uuid5(NAMESPACE, f"{job_id}/{recipient}")
    assert message_id(job_id, recipient, channel) == uuid.uuid5(NAMESPACE, f"{job_id}/{recipient}/{channel}")


def test_an_id_is_a_uuid_as_any_other() -> None:
    made = activity_id("job", "ann")
    parsed = uuid.UUID(str(made))

    assert made == parsed == copy.deepcopy(made) == pickle.loads(pickle.dumps(made))
    assert (hash(made), repr(made), made.version, made.is_safe) == (hash(parsed), repr(parsed), 5, parsed.is_safe)
