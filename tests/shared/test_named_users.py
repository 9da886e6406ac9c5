"""The users that a text names: those of every job, and of whatever else may be stored, and never a word of our JSON."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.arbitrary_jobs import any_job, messages
from tests.support.builders import bulk_identify, day, identify, mark, merge, trigger, user
from tests.support.example_counts import examples

from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.jobs.named_users import MAX_USERS, named_users, without_users


@examples(300)
@given(job=any_job, ascii_only=st.booleans())
def test_a_job_names_its_users_however_it_is_written(job: Job, ascii_only: bool) -> None:
    text = json.dumps(json.loads(encode(job)), ensure_ascii=ascii_only)

    assert set(named_users(text).ids) == set(job.user_ids)


@examples(300)
@given(job=any_job, data=st.data())
def test_a_job_without_some_users_is_a_job_of_the_others_or_none(job: Job, data: st.DataObject) -> None:
    if not job.user_ids:
        return
    erased = set(data.draw(st.lists(st.sampled_from(job.user_ids), min_size=1)))

    text = without_users(encode(job), erased)

    if text is not None:
        left = set(decode(text).user_ids)
        assert {id_ for id_ in left if not id_.startswith("erased-")} == set(job.user_ids) - erased
        assert set(named_users(text).ids) == left


@examples(300)
@given(message=messages)
def test_no_text_is_too_strange(message: Any) -> None:
    text = message if isinstance(message, str) else repr(message)

    found = named_users(text)
    text_without = without_users(text, found.ids)

    assert len(found.ids) <= MAX_USERS
    assert text_without is None or not set(found.ids) & set(named_users(text_without).ids)


JOB = encode(identify("ann", at=1, job="j", note="cy"))
BULK = encode(bulk_identify(user("ann"), user("bo"), at=1, job="j"))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (JOB, ["ann"]),
        ("\ufeff" + JOB, ["ann"]),
        ("\0".join(JOB), ["ann"]),
        (JOB[:-10], ["ann"]),
        (JOB.replace('"v":1', '"v":2'), ["ann"]),
        (JOB.replace('"identify"', '"rename"'), ["ann"]),
        ('{"v":1,"kind":"rename","occurred_at":1,"to":"ann"}', []),
        (JOB.replace('"v":1', '"v":1,"data":{"user_id":"cy"}'), ["ann"]),
        (JOB.replace('"ann"', "7"), ["7"]),
        (JOB.replace('"ann"', "null"), []),
        (JOB.replace('"ann"', "true"), []),
        (JOB.replace('"ann"', '"a/b"'), []),
        (JOB.replace('"ann"', '"a\\u0000b"'), []),
        (JOB.replace('"ann"', '"\\ud800"'), []),
        (BULK, ["ann", "bo"]),
        (BULK.replace('"traits":{}', '"traits":7'), ["ann", "bo"]),
        ('{"userId": "ann", "traits": {"user_id": "bo"}}', ["ann", "bo"]),
        ('{"id": "ann", "email": "a@example.com"}', ["a@example.com", "ann"]),
        ('[["ann", 7, null], {"to": "bo"}]', ["ann", "bo"]),
        (json.dumps([[JOB], {}, {"task": "x"}]), ["ann"]),
        (json.dumps({"body": json.dumps([[JOB], {}])}), ["ann"]),
        ('{"user_id": "bo", "user_id": "ann"}', ["ann", "bo"]),
        ('for "ann" and "o\\"brien", \'cy\'', ["ann", 'o"brien']),
        ('{"user_id": "ann" "email": "a@example.com"}', ["a@example.com", "ann"]),
        ("[" * 100_000 + '"ann"', ["ann"]),
        ("9" * 10_000 + '"ann"', ["ann"]),
        ("ann", []),
        ("\ud800", []),
        ('{"user_id": "ann", "name": "\ud800', ["ann"]),
        ("", []),
        ('"ann"', ["ann"]),
        (encode(mark([UUID(int=7)], "read", at=1)), []),
    ],
    ids=lambda value: ascii(value[:40]) if isinstance(value, str) else None,
)
def test_a_text_names(text: str, ids: list[str]) -> None:
    assert list(named_users(text).ids) == ids


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (JOB, day(1)),
        (encode(identify("ann", at=1).model_copy(update={"deferred": True, "requested_at": 5})), 5),
        (encode(identify("ann", at=1).model_copy(update={"deferred": True})), None),
        (encode(bulk_identify(user("ann"), user("bo"), at=1).model_copy(update={"timestamps": (9, 8)})), 8),
        ('{"occurred_at": "yesterday"}', None),
        ('{"occurred_at": true}', None),
        ('{"occurred_at": -1}', None),
        ("[]", None),
        ("no JSON", None),
    ],
)
def test_a_text_says_when_its_job_was_asked_for(text: str, at: int | None) -> None:
    assert named_users(text).requested_at == at


def test_a_user_leaves_a_bulk_job_with_its_time() -> None:
    job = bulk_identify(user("ann"), user("bo"), user("ann", more=1), at=1)
    text = encode(job.model_copy(update={"timestamps": (1, 2, 3)}))

    left = without_users(text, ["ann"])

    assert left is not None
    assert json.loads(left)["timestamps"] == [2]
    assert decode(left).user_ids == ("bo",)


def test_a_rejected_user_leaves_a_bulk_job_too() -> None:
    payload = json.loads(BULK)
    payload["users"][0]["traits"] = {"email": "no address", "note": "\ud800"}
    payload["users"][1]["traits"] = {"note": "\ud800"}

    left = without_users(json.dumps(payload), ["ann"])

    assert left is not None
    assert json.loads(left)["users"] == [payload["users"][1]]


@pytest.mark.parametrize(
    "text",
    [
        JOB,
        encode(merge("ann", "bo", at=1)),
        encode(merge("bo", "ann", at=1)),
        encode(trigger("hello", ["ann"], at=1, actor="bo")),
        BULK.replace('"v":1', '"v":2'),
        BULK.replace('"bulk_identify"', '"bulk_rename"'),
        BULK[:-1],
        BULK.replace('"v":1', '"x":NaN'),
        BULK.replace('"v":1', '"v":1,"v":1'),
        '[["ann"]]',
    ],
)
def test_no_job_is_left(text: str) -> None:
    assert without_users(text, ["ann"]) is None


def test_an_erased_actor_is_a_user_whom_no_application_knows() -> None:
    text = encode(trigger("hello", ["bo"], at=1, actor=user("ann", name="Ann")))

    left = without_users(text, ["ann"])

    assert left is not None
    assert left == without_users(text, ["ann"])
    (recipient, actor) = decode(left).user_ids
    assert recipient == "bo"
    assert actor.startswith("erased-")
    assert "nn" not in left.replace("channels", "")
