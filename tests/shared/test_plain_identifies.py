"""An identify that needs no closer look becomes the job that validation would make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.example_counts import examples

from rollbook_shared.errors import Undecodable
from rollbook_shared.jobs import codec
from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import MAX_TIMESTAMP, Identify, plain_identify

USER: dict[str, Any] = {"id": "ann", "traits": {"name": "Ann", "age": 41}, "preferences": {}, "channel_data": {}}
JOB: dict[str, Any] = {"v": 1, "id": "j-1", "occurred_at": 1_700_000_000_000_000, "kind": "identify", "user": USER}
STRANGE: list[Any] = [None, True, 0, -1, 1.5, "", "a b", "x" * 300, [], {}, [1], {"a": {"b": None}}, "\u2603", "/"]

traits = st.dictionaries(
    st.sampled_from(["name", "email", "phone_number", "avatar", "plan", "id", "created_at", "é", ""]),
    st.sampled_from(
        ["ann@example.com", "Ann", "+15550100", 1, 1 << 70, -2.5, None, False, [1, [2]], {"a": "b"}, "x" * 2_000]
    ),
)


@st.composite
def payloads(draw: st.DrawFn) -> dict[str, Any]:
    """Identifies, some with fields that are missing, unknown, or of another kind."""
    user = USER | {"traits": draw(traits)}
    job = JOB | {"occurred_at": draw(st.sampled_from([0, 1, MAX_TIMESTAMP - 1, MAX_TIMESTAMP, JOB["occurred_at"]]))}
    for fields in (user, job):
        for name in draw(st.lists(st.sampled_from([*fields, "deferred", "requested_at", "more"]), max_size=1)):
            if draw(st.booleans()):
                fields[name] = draw(st.sampled_from(STRANGE))
            else:
                fields.pop(name, None)
    return job | ({"user": user} if "user" in job and isinstance(job["user"], dict) else {})


def decoded(text: str) -> object:
    """The job with all that pydantic keeps of it; or why there is none."""
    try:
        job = decode(text)
    except Undecodable as error:
        return error.code, error.reason, error.job_id, error.kind
    return type(job), list(vars(job).items()), job.model_fields_set, encode(job), repr(job)


def validated(text: str) -> object:
    """The same, where every job is validated."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(codec, "plain_identify", lambda parsed: None)
        return decoded(text)


@examples(300)
@given(payload=payloads(), ascii=st.booleans())
def test_it_is_the_job_that_validation_makes(payload: dict[str, Any], ascii: bool) -> None:
    text = json.dumps(payload, ensure_ascii=ascii)

    assert decoded(text) == validated(text)


@pytest.mark.parametrize("value", STRANGE, ids=repr)
@pytest.mark.parametrize("name", [*JOB, *USER, "deferred", "requested_at", "more"])
def test_each_field_is_checked(name: str, value: object) -> None:
    for payload in (JOB | {name: value}, JOB | {"user": USER | {name: value}}):
        text = json.dumps(payload)
        assert decoded(text) == validated(text)


def test_what_nearly_all_clients_send_needs_no_closer_look() -> None:
    job = plain_identify(JOB)

    assert isinstance(job, Identify)
    assert job.user.traits == USER["traits"]


def test_it_cannot_be_changed() -> None:
    job: Any = plain_identify(JOB)

    with pytest.raises(ValueError, match="frozen"):
        job.id = "another"
