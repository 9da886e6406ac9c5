"""For any arguments, the client names what is wrong and sends nothing, or sends a job that can be stored."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.arbitrary_jobs import junk
from tests.support.example_counts import examples
from tests.support.robustness.invalid_values import ABSENT, INVALID_VALUES, Raw

from rollbook import InvalidRequest, Limits
from rollbook.testing import RecordingRollbook, recording
from rollbook_shared.jobs.codec import MAX_TEXT, decode, encode
from rollbook_worker.store import ReceivedJob


class Colour(enum.Enum):
    RED = "red"


def endless_list() -> list[Any]:
    knot: list[Any] = []
    knot.append(knot)
    return knot


def endless_dict() -> dict[str, Any]:
    knot: dict[str, Any] = {}
    knot["a"] = knot
    return knot


NO_JSON: Final[dict[str, object]] = {
    "bytes": b"x",
    "a set": {"a"},
    "a datetime": datetime(2026, 1, 1, tzinfo=UTC),
    "a date": date(2026, 1, 1),
    "a timedelta": timedelta(1),
    "a decimal": Decimal("1.5"),
    "a complex number": 1j,
    "an object of a class": object(),
    "a class": int,
    "a function": len,
    "a path": Path("a"),
    "an enum": Colour.RED,
    "a generator": (number for number in range(3)),
    "a list that holds itself": endless_list(),
    "an object that holds itself": endless_dict(),
    "a list of bytes": [b"x"],
    "not a number": float("nan"),
    "infinity": float("inf"),
    "a key of bytes": {b"k": 1},
    "a key of None": {None: 1},
    "a key of a tuple": {(1, 2): 1},
}

Call = Callable[[RecordingRollbook, Any], object]
CALLS: Final[list[tuple[str, str, str, Call]]] = [
    ("identify", "user_id", "id", lambda rb, bad: rb.users.identify(bad)),
    ("bulk_identify", "user_id", "users[1].id", lambda rb, bad: rb.users.bulk_identify([{"id": "u"}, {"id": bad}])),
    ("delete", "user_id", "user_id", lambda rb, bad: rb.users.delete(bad)),
    ("bulk_delete", "user_id", "user_ids[1]", lambda rb, bad: rb.users.bulk_delete(["u", bad])),
    ("merge into", "user_id", "user_id", lambda rb, bad: rb.users.merge(bad, "v")),
    ("merge of", "user_id", "from_user_id", lambda rb, bad: rb.users.merge("u", bad)),
    ("set_preferences", "user_id", "user_id", lambda rb, bad: rb.users.set_preferences(bad, "default", {})),
    ("set_channel_data", "user_id", "user_id", lambda rb, bad: rb.users.set_channel_data(bad, "apns", {})),
    ("inline recipient", "user_id", "recipients[0].id", lambda rb, bad: rb.workflows.trigger("w", [{"id": bad}])),
    ("inline actor", "user_id", "actor.id", lambda rb, bad: rb.workflows.trigger("w", ["u"], actor={"id": bad})),
    ("recipient", "recipient", "recipients[0]", lambda rb, bad: rb.workflows.trigger("w", [bad])),
    ("set id", "key", "set_id", lambda rb, bad: rb.users.set_preferences("u", bad, {})),
    ("channel id", "key", "channel_id", lambda rb, bad: rb.users.set_channel_data("u", bad, {})),
    ("workflow", "key", "workflow", lambda rb, bad: rb.workflows.trigger(bad, ["u"])),
    ("tenant", "tenant", "tenant", lambda rb, bad: rb.workflows.trigger("w", ["u"], tenant=bad)),
    ("channel", "listed key", "channels[0]", lambda rb, bad: rb.workflows.trigger("w", ["u"], channels=[bad])),
    ("category", "listed key", "categories[0]", lambda rb, bad: rb.workflows.trigger("w", ["u"], categories=[bad])),
    ("job id", "job_id", "job_id", lambda rb, bad: rb.users.delete("u", job_id=bad)),
    ("property", "value", "plan", lambda rb, bad: rb.users.identify("u", {"plan": bad})),
    (
        "property in bulk",
        "value",
        "users[0].plan",
        lambda rb, bad: rb.users.bulk_identify([{"id": "u", "plan": bad}]),
    ),
    ("settings", "settings", "settings", lambda rb, bad: rb.users.set_preferences("u", "default", bad)),
    ("data of a channel", "value", "data", lambda rb, bad: rb.users.set_channel_data("u", "apns", {"tokens": bad})),
    ("data of a trigger", "value", "data", lambda rb, bad: rb.workflows.trigger("w", ["u"], data={"n": bad})),
    ("flag", "flag", "keep_opt_outs", lambda rb, bad: rb.users.merge("u", "v", keep_opt_outs=bad)),
    *(
        (name, "attribute", name, lambda rb, bad, name=name: rb.users.identify("u", {name: bad}))
        for name in ("email", "phone_number", "avatar", "locale", "timezone", "created_at")
    ),
    ("name", "name", "name", lambda rb, bad: rb.users.identify("u", {"name": bad})),
]
"""What is called, the sort of the value, the field that must be named."""


def invalid_values_of(sort: str) -> dict[str, object]:
    """As Python values, those that are no JSON included."""
    values: dict[str, object] = dict(INVALID_VALUES[sort])
    if sort == "value":
        values |= NO_JSON
    elif sort == "settings":
        values |= {f"{name} inside": {"workflows": {"w": value}} for name, value in NO_JSON.items()}
    elif sort != "flag":
        values |= {name: NO_JSON[name] for name in ("bytes", "a set", "an object of a class", "an enum", "a path")}
    if sort == "job_id":
        values = {name: value for name, value in values.items() if value is not None}
    return {name: value for name, value in values.items() if value is not ABSENT and not isinstance(value, Raw)}


CASES: Final = [
    (f"{call_name}: {name}", field, call, value)
    for call_name, sort, field, call in CALLS
    for name, value in invalid_values_of(sort).items()
]


def test_there_are_hundreds_of_cases() -> None:
    assert len({name for name, _, _, _ in CASES}) == len(CASES) >= 500


@pytest.mark.parametrize(("sort", "field", "call"), [case[1:] for case in CALLS], ids=[case[0] for case in CALLS])
def test_an_invalid_value_is_rejected_by_its_field_and_nothing_is_sent(sort: str, field: str, call: Call) -> None:
    wrong = {}
    for name, value in invalid_values_of(sort).items():
        rb = recording()
        try:
            call(rb, value)
            wrong[name] = "not rejected"
        except InvalidRequest as error:
            if not any(problem.field.startswith(field) and problem.reason for problem in error.problems) or rb.sent:
                wrong[name] = str(error)

    assert wrong == {}


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("settings", lambda rb, big: rb.users.set_preferences("u", "default", {"workflows": {big: True}})),
        ("settings", lambda rb, big: rb.users.bulk_set_preferences(["u"], "default", {"workflows": {big: True}})),
        ("data", lambda rb, big: rb.users.set_channel_data("u", "apns", {"tokens": [big]})),
        ("data", lambda rb, big: rb.workflows.trigger("w", ["u"], data={"note": big})),
        ("preferences", lambda rb, big: rb.users.identify("u", {"preferences": {"d": {"workflows": {big: True}}}})),
        ("channel_data", lambda rb, big: rb.users.identify("u", {"channel_data": {"apns": {"tokens": [big]}}})),
        ("users[1].channel_data", lambda rb, big: rb.users.bulk_identify([{"id": "u"}, {"id": "v", **_reached(big)}])),
        ("actor.properties", lambda rb, big: rb.workflows.trigger("w", ["u"], actor={"id": "u", "p": big})),
    ],
)
def test_a_part_larger_than_256_kib_is_rejected_by_its_field(field: str, call: Call) -> None:
    for big in ("x" * (256 * 1024), "ü" * (128 * 1024)):
        rb = recording()

        with pytest.raises(InvalidRequest, match="262144 bytes") as rejected:
            call(rb, big)

        assert [problem.field for problem in rejected.value.problems] == [field]
        assert rb.sent == []


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("name", lambda rb, big: rb.users.identify("u", {"name": big, "locale": "en"})),
        ("email", lambda rb, big: rb.users.identify("u", {"name": "x", "email": f"{big}@example.com"})),
        ("avatar", lambda rb, big: rb.users.identify("u", {"avatar": f"data:image/png;base64,{big}"})),
        ("recipients[0].name", lambda rb, big: rb.workflows.trigger("w", [{"id": "u", "name": big}])),
    ],
)
def test_an_attribute_that_is_too_long_is_rejected_by_its_field(field: str, call: Call) -> None:
    rb = recording()

    with pytest.raises(InvalidRequest, match=r"must be at most [\d,]+ characters$") as rejected:
        call(rb, "x" * (256 * 1024))

    assert [problem.field for problem in rejected.value.problems] == [field]
    assert rb.sent == []


def _reached(token: str) -> dict[str, Any]:
    return {"channel_data": {"apns": {"tokens": [token]}}}


@pytest.mark.parametrize(
    "call",
    [
        lambda rb, text: rb.users.set_preferences("u", "default", {"workflows": {text: True}}),
        lambda rb, text: rb.users.set_channel_data("u", "apns", {"tokens": [text]}),
        lambda rb, text: rb.workflows.trigger("w", ["u"], data={"note": text}),
        lambda rb, text: rb.users.identify("u", {"notes": text, "avatar": None}),
    ],
)
def test_a_part_below_the_limit_is_sent(call: Call) -> None:
    rb = recording()

    call(rb, "x" * (255 * 1024))

    assert len(rb.sent) == 1


def test_a_smaller_limit_holds() -> None:
    with pytest.raises(InvalidRequest, match="data: must be at most 10 bytes"):
        recording(limits=Limits(max_data_bytes=10)).users.set_channel_data("u", "apns", {"tokens": ["t"]})


def test_a_job_that_workers_would_refuse_for_its_size_is_rejected() -> None:
    rb = recording()
    large = "x" * (250 * 1024)
    people: list[Any] = [{"id": f"u{number}", "notes": large} for number in range(MAX_TEXT // len(large) + 1)]

    with pytest.raises(InvalidRequest, match="recipients: must be at most 64 MiB"):
        rb.workflows.trigger("w", people)

    assert rb.sent == []
    rb.workflows.trigger("w", people[:-10])
    assert len(rb.sent) == 1


ANY: Final[st.SearchStrategy[Any]] = st.one_of(
    junk, st.sampled_from(list(NO_JSON.values())), st.lists(junk, max_size=3)
)
TRAITS: Final = st.dictionaries(
    st.sampled_from(["id", "email", "plan", "preferences", "channel_data"]), ANY, max_size=3
)
OPTIONS: Final = st.fixed_dictionaries(
    {}, optional={"job_id": ANY, "occurred_at": ANY, "run_at": ANY, "delay": ANY}
) | st.just(dict[str, Any]())
JUNK_CALLS: Final[list[Callable[..., object]]] = [
    lambda rb, a, b, c, options: rb.users.identify(a, b, **options),
    lambda rb, a, b, c, options: rb.users.bulk_identify([b, c, {"id": a}], **options),
    lambda rb, a, b, c, options: rb.users.bulk_identify(a, **options),
    lambda rb, a, b, c, options: rb.users.delete(a, **options),
    lambda rb, a, b, c, options: rb.users.bulk_delete(b, **options),
    lambda rb, a, b, c, options: rb.users.merge(a, b, keep_opt_outs=c, **options),
    lambda rb, a, b, c, options: rb.users.set_preferences(a, b, c, **options),
    lambda rb, a, b, c, options: rb.users.update_preferences(a, b, c, **options),
    lambda rb, a, b, c, options: rb.users.unset_preferences(a, b, **options),
    lambda rb, a, b, c, options: rb.users.bulk_set_preferences(a, b, c, **options),
    lambda rb, a, b, c, options: rb.users.set_channel_data(a, b, c, **options),
    lambda rb, a, b, c, options: rb.users.add_push_token("u", a, b, c, **options),
    lambda rb, a, b, c, options: rb.users.remove_push_token(a, "push", b, **options),
    lambda rb, a, b, c, options: rb.users.unset_channel_data(a, b, **options),
    lambda rb, a, b, c, options: rb.workflows.trigger(a, [b, c], actor=c, data=b, tenant=a, **options),
    lambda rb, a, b, c, options: rb.workflows.trigger("w", b, channels=a, categories=c, **options),
    lambda rb, a, b, c, options: rb.messages.mark(a, b, user_id=c, **options),
    lambda rb, a, b, c, options: rb.messages.mark_all(a, b, channel=c, **options),
]


@examples(400)
@given(st.sampled_from(JUNK_CALLS), ANY | st.just("u"), ANY | TRAITS, ANY | TRAITS, OPTIONS)
def test_junk_is_rejected_with_a_reason_or_sent_as_a_job_that_can_be_stored(
    call: Callable[..., object], a: Any, b: Any, c: Any, options: dict[str, Any]
) -> None:
    rb = recording()

    if reasons := _reasons(lambda: call(rb, a, b, c, options)):
        assert rb.sent == []
        assert all(reasons)
        "".join(reasons).encode()
    else:
        (job,) = rb.sent
        text = encode(job)
        assert decode(text) == job
        assert ReceivedJob.of(text).job == job
        assert "\\u0000" not in text
        json.loads(text)["id"].encode()


def _reasons(call: Callable[[], object]) -> list[str]:
    try:
        call()
    except InvalidRequest as error:
        return [problem.reason for problem in error.problems] or [""]
    return []
