"""The codec: decoding reverses encoding, and every other text is `Undecodable`."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.arbitrary_jobs import any_job, jobs_of, messages
from tests.support.builders import delete, identify, merge, trigger
from tests.support.example_counts import examples

from rollbook_shared.errors import Problem, Undecodable
from rollbook_shared.jobs.codec import (
    VERSION,
    decode,
    decode_with_digest,
    digest,
    encode,
    encode_bulk_identify,
    encode_user,
)
from rollbook_shared.jobs.models import KINDS, MODELS, BulkIdentify, Identify, Job, UserUpdate


@pytest.mark.parametrize("kind", KINDS)
@examples(30)
@given(data=st.data())
def test_a_decoded_job_equals_the_encoded_one(kind: str, data: st.DataObject) -> None:
    job = data.draw(jobs_of(kind))

    assert decode(encode(job)) == job


@examples(100)
@given(jobs_of("bulk_identify"), st.data())
def test_users_encoded_one_by_one_are_a_bulk_job(job: BulkIdentify, data: st.DataObject) -> None:
    users = [user for user in job.users if isinstance(user, UserUpdate)]
    timestamps = data.draw(st.lists(st.integers(0, 2**50), min_size=len(users), max_size=len(users)))
    gathered = BulkIdentify(id=job.id, occurred_at=max(timestamps), users=tuple(users), timestamps=tuple(timestamps))

    text = encode_bulk_identify(job.id, [encode_user(user) for user in users], timestamps)

    assert decode(text) == gathered
    assert digest(text) == digest(encode(gathered))


def test_tuples_in_values_are_decoded_as_the_job_held_them() -> None:
    job = identify("a", tags=("x", "y"), at=1)

    assert decode(encode(job)) == job


def test_deferred_is_written_only_if_it_is_true() -> None:
    """Workers of before know no such field, and refuse those they do not know."""
    later = delete("a", at=1).model_copy(update={"deferred": True})

    assert not {"deferred", "requested_at"} & json.loads(encode(delete("a", at=1))).keys()
    assert json.loads(encode(later))["deferred"] is True
    assert decode(encode(later)) == later


def test_a_job_sent_again_with_the_same_delay_is_the_same_job() -> None:
    job = delete("a", at=1, job="it")
    later = job.model_copy(update={"occurred_at": job.occurred_at + 5, "deferred": True})

    assert digest(encode(later)) == digest(encode(job))


@examples(300)
@given(messages)
def test_other_texts_are_undecodable(message: Any) -> None:
    with contextlib.suppress(Undecodable):
        assert decode(message).kind in KINDS


@pytest.mark.parametrize(
    "message",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"v":' * 50_000 + "1" + "}" * 50_000,
        '{"v":1,"kind":"delete","id":"d","occurred_at":' + "1" * 5_000 + ',"user_id":"a"}',
        '{"v":1,"kind":"delete","id":"d","occurred_at":NaN,"user_id":"a"}',
        '{"v":1,"kind":"identify","id":"i","occurred_at":1,"user":{"id":"a","traits":{"k":'
        + "[" * 33
        + "]" * 33
        + "}}}",
        '{"v":1,"kind":"delete","id":"d","occurred_at":1,"user_id":"a"} ',
        "",
        "null",
        None,
        b'{"v":1}',
        {"v": 1},
    ],
    ids=[
        "lists without end",
        "objects without end",
        "a number without end",
        "not a number",
        "33 levels",
        "a good job and a blank",
        "nothing",
        "null",
        "no text: None",
        "no text: bytes",
        "no text: a dict",
    ],
)
def test_unusual_messages_are_decoded_or_undecodable(message: object) -> None:
    with contextlib.suppress(Undecodable):
        decode(message)


@pytest.mark.parametrize("version", [None, 0, 2, "1", True, 1.5, [1]])
def test_an_unknown_version_names_the_job(version: object) -> None:
    payload = json.loads(encode(delete("a", at=1, job="it"))) | {"v": version}

    with pytest.raises(Undecodable) as found:
        decode(json.dumps(payload))

    assert (found.value.code, found.value.job_id, found.value.kind) == ("unknown_version", "it", "delete")


def test_a_job_without_a_version_is_unknown() -> None:
    payload = json.loads(encode(delete("a", at=1, job="it")))
    del payload["v"]

    with pytest.raises(Undecodable) as found:
        decode(json.dumps(payload))

    assert (found.value.code, found.value.reason) == ("unknown_version", "the job has no version, `v`")
    assert (found.value.job_id, found.value.kind) == ("it", "delete")


@pytest.mark.parametrize("kind", [None, "", "remove", "Delete", 1, ["delete"], {"delete": 1}])
def test_an_unknown_kind_is_undecodable(kind: object) -> None:
    payload = json.loads(encode(delete("a", at=1))) | {"kind": kind}

    with pytest.raises(Undecodable) as found:
        decode(json.dumps(payload))

    assert found.value.code == "unknown_kind"


def test_a_missing_kind_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="unknown_kind"):
        decode(json.dumps({"v": VERSION, "id": "it"}))


def test_an_unknown_field_is_rejected_and_not_dropped() -> None:
    payload = json.loads(encode(delete("a", at=1))) | {"reason": "asked for it"}

    with pytest.raises(Undecodable, match="reason: is not a known field"):
        decode(json.dumps(payload))


def test_the_reason_names_the_field_and_never_the_value() -> None:
    payload = json.loads(encode(identify("a", at=1)))
    payload["user"]["traits"] = {"email": "not-an-address-of-ann"}

    with pytest.raises(Undecodable) as found:
        decode(json.dumps(payload))

    assert "email" in found.value.reason
    assert "ann" not in str(found.value)


@pytest.mark.parametrize(("recipients", "is_invalid"), [(100, False), (101, True)])
def test_rule_44_a_trigger_of_too_many_messages_is_invalid_whatever_its_client_allows(
    recipients: int, is_invalid: bool
) -> None:
    payload = json.loads(encode(trigger("w", ["u0"], at=1, channels=("in_app",))))
    payload["recipients"] = [f"u{number}" for number in range(recipients)] + ["u0"]
    payload["channels"] = [f"c{number}" for number in range(100)]

    if not is_invalid:
        assert decode(json.dumps(payload)).kind == "trigger"
        return
    with pytest.raises(Undecodable) as found:
        decode(json.dumps(payload))
    assert found.value.code == "invalid"
    assert found.value.reason == "recipients: would make 10,100 messages; at most 10,000 are allowed"


def test_invalid_users_of_a_bulk_job_become_problems() -> None:
    users = [{"id": "a"}, {"id": ""}, {"id": "b", "traits": {"email": "nobody"}}, "c", {"id": "d"}]
    message = json.dumps({"v": VERSION, "kind": "bulk_identify", "id": "it", "occurred_at": 1, "users": users})

    job = decode(message)

    assert isinstance(job, BulkIdentify)
    assert [user.id if isinstance(user, UserUpdate) else user.index for user in job.users] == ["a", 1, 2, 3, "d"]
    assert job.users[1] == Problem("users[1].id", "must not be empty", 1)
    assert job.users[2] == Problem("users[2].email", "must be an e-mail address", 2)


@examples(100)
@given(any_job, st.data())
def test_the_digest_ignores_the_order_of_keys(job: Job, data: st.DataObject) -> None:
    text = encode(job)
    shuffled = json.dumps(_shuffled(json.loads(text), data))

    assert digest(shuffled) == digest(text)


@examples(100)
@given(any_job, st.booleans())
def test_decode_with_digest_equals_both_functions(job: Job, in_ascii: bool) -> None:
    text = json.dumps(json.loads(encode(job)), ensure_ascii=in_ascii)

    assert decode_with_digest(text) == (job, digest(text))


@pytest.mark.parametrize("escaped", ["\\u0000", "\\ud800", "\\uDC00"])
@pytest.mark.parametrize("place", ["user", "traits", "key"])
def test_unstorable_text_is_found_in_every_escape(escaped: str, place: str) -> None:
    users = {"user": {"id": "X"}, "traits": {"id": "a", "traits": {"k": "X"}}, "key": {"id": "a", "traits": {"X": 1}}}
    message = json.dumps({"v": VERSION, "kind": "identify", "id": "it", "occurred_at": 1, "user": users[place]})

    with pytest.raises(Undecodable, match="holds"):
        decode(message.replace('"X"', f'"{escaped}"'))


@examples(100)
@given(any_job, st.integers(0, (1 << 55) - 1))
def test_the_digest_ignores_the_timing(job: Job, occurred_at: int) -> None:
    assert digest(encode(job.model_copy(update={"occurred_at": occurred_at}))) == digest(encode(job))


@examples(150)
@given(any_job, any_job)
def test_the_digest_depends_on_everything_else(one: Job, other: Job) -> None:
    # equal but for the time, or different
    same = one == other.model_copy(update={"occurred_at": one.occurred_at, "deferred": one.deferred})

    assert (digest(encode(one)) == digest(encode(other))) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (delete("a", at=1, job="x"), delete("b", at=1, job="x")),
        (delete("a", at=1, job="x"), delete("a", at=1, job="y")),
        (identify("a", at=1, job="x"), delete("a", at=1, job="x")),
        (identify("a", k=1, at=1, job="x"), identify("a", k=True, at=1, job="x")),
        (identify("a", k=None, at=1, job="x"), identify("a", at=1, job="x")),
        (identify("a", k=[1, 2], at=1, job="x"), identify("a", k=[2, 1], at=1, job="x")),
        (merge("a", "b", at=1, job="x"), merge("b", "a", at=1, job="x")),
        (trigger("hello", ["a", "b"], at=1, job="x"), trigger("hello", ["b", "a"], at=1, job="x")),
        (identify("a", occurred_at=1, at=1, job="x"), identify("a", occurred_at=2, at=1, job="x")),
    ],
    ids=[
        "user",
        "id",
        "kind",
        "true and 1",
        "null and absent",
        "order of a list",
        "sides",
        "order of recipients",
        "a property called occurred_at",
    ],
)
def test_jobs_that_differ_have_different_digests(one: Job, other: Job) -> None:
    assert digest(encode(one)) != digest(encode(other))


@examples(100)
@given(any_job)
def test_a_job_is_immutable_and_has_all_defaults(job: Job) -> None:
    payload = json.loads(encode(job))

    assert payload.keys() | {"deferred", "requested_at"} == {"v"} | MODELS[job.kind].model_fields.keys()
    with pytest.raises(ValueError, match="frozen"):
        setattr(job, "id", "other")  # noqa: B010


def test_a_property_may_look_like_celerys_own_json() -> None:
    job = identify("a", k={"__type__": "datetime", "__value__": "2026"}, at=1)

    decoded = decode(encode(job))

    assert isinstance(decoded, Identify)
    assert decoded.user.traits == {"k": {"__type__": "datetime", "__value__": "2026"}}


def _shuffled(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, dict):
        return {key: _shuffled(value[key], data) for key in data.draw(st.permutations(list(value)))}
    if isinstance(value, list):
        return [_shuffled(item, data) for item in value]
    return value
