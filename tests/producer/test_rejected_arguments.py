"""Which arguments, options and sizes the client rejects before it sends anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.producer.rejections import NOW, Call, only_problem_of, problems_of

from rollbook import Limits, NotConfigured, PoolLimits, Rollbook
from rollbook.testing import recording

SMALL = Limits(max_bulk_users=3, max_recipients=2, max_properties_bytes=20)

WRONG_ARGUMENTS: list[tuple[Call, str, str]] = [
    (lambda rb: rb.users.identify("u1", ["email"]), "traits", "mapping"),  # type: ignore[arg-type]
    (lambda rb: rb.users.identify("u1", "email"), "traits", "mapping"),  # type: ignore[arg-type]
    (lambda rb: rb.users.bulk_identify({"id": "u1"}), "users", "list of users"),  # type: ignore[dict-item]
    (lambda rb: rb.users.bulk_identify("u1"), "users", "list of users"),  # type: ignore[arg-type]
    (lambda rb: rb.users.bulk_identify(None), "users", "list of users"),  # type: ignore[arg-type]
    (lambda rb: rb.users.bulk_identify(["u1"]), "users[0]", "mapping"),  # type: ignore[list-item]
    (lambda rb: rb.users.bulk_identify([{"name": "Bo"}]), "users[0].id", "required"),
    (lambda rb: rb.users.bulk_identify([]), "users", "1 to 100"),
    (lambda rb: rb.users.bulk_identify({"id": f"u{n}"} for n in range(101)), "users", "1 to 100"),
    (lambda rb: rb.users.bulk_delete("u1"), "user_ids", "list of user ids"),
    (lambda rb: rb.users.bulk_delete(7), "user_ids", "list of user ids"),  # type: ignore[arg-type]
    (lambda rb: rb.users.bulk_delete([]), "user_ids", "1 to 100"),
    (lambda rb: rb.users.bulk_delete(["u1"] * 101), "user_ids", "1 to 100"),
    (lambda rb: rb.users.bulk_set_preferences("u1", "default", {}), "user_ids", "list of user ids"),
    (lambda rb: rb.users.merge("u1", "u1"), "from_user_id", "the primary itself"),
    (lambda rb: rb.users.merge("u1", "u1", dry_run=True), "from_user_id", "the primary itself"),
    (lambda rb: rb.users.set_preferences("u1", "", {}), "set_id", "empty"),
    (lambda rb: rb.users.set_preferences("u1", "default", [1]), "settings", "object"),  # type: ignore[arg-type]
    (
        lambda rb: rb.users.set_preferences("u1", "default", {"workflows": {"w": "yes"}}),
        "settings.workflows.w",
        "true or false",
    ),
    (lambda rb: rb.users.set_channel_data("u1", "c", "t"), "data", "object"),  # type: ignore[arg-type]
    (lambda rb: rb.users.set_channel_data("u1", "", {}), "channel_id", "empty"),
    (lambda rb: rb.workflows.trigger("", ["u1"]), "workflow", "empty"),
    (lambda rb: rb.workflows.trigger("w", "u1"), "recipients", "list of user ids"),
    (lambda rb: rb.workflows.trigger("w", {"id": "u1"}), "recipients", "list of user ids"),
    (lambda rb: rb.workflows.trigger("w", []), "recipients", "1 to 1000"),
    (lambda rb: rb.workflows.trigger("w", ["u1"] * 1001), "recipients", "1 to 1000"),
    (lambda rb: rb.workflows.trigger("w", ["u1"], actor=7), "actor", "text"),  # type: ignore[arg-type]
    (lambda rb: rb.workflows.trigger("w", ["u1"], actor={"id": "u2", "email": "x"}), "actor.email", "e-mail"),
    (lambda rb: rb.workflows.trigger("w", ["u1"], data=[1]), "data", "object"),  # type: ignore[arg-type]
    (lambda rb: rb.workflows.trigger("w", ["u1"], data={"a": {"b": "\0"}}), "data.a.b", "NUL"),
    (lambda rb: rb.workflows.trigger("w", ["u1"], tenant=""), "tenant", "empty"),
    (lambda rb: rb.workflows.trigger("w", ["u1"], channels="in_app"), "channels", "list of channel names"),
    (lambda rb: rb.workflows.trigger("w", ["u1"], channels=[]), "channels", "1 to 100"),
    (lambda rb: rb.users.list(limit=0), "limit", "1 to 1000"),
    (lambda rb: rb.users.list(limit=1001), "limit", "1 to 1000"),
    (lambda rb: rb.users.list(limit=True), "limit", "1 to 1000"),
    (lambda rb: rb.users.list(after="\0"), "after", "page"),
    (lambda rb: rb.users.list(where=["plan"]), "where", "mapping"),  # type: ignore[arg-type]
    (lambda rb: rb.users.list(where={"preferences": {}}), "where.preferences", "neither"),
    (lambda rb: rb.users.list(where={"email": 7}), "where.email", "text or None"),
    (lambda rb: rb.users.list(where={"plan": float("nan")}), "where.plan", "finite"),
    (lambda rb: rb.users.list(where={7: "x"}), "where", "key"),  # type: ignore[dict-item]
    (lambda rb: rb.users.list(after="u2"), "after", "same order"),
    (lambda rb: rb.users.list(before="\0"), "before", "same order"),
    (lambda rb: rb.users.list(before=7), "before", "same order"),  # type: ignore[arg-type]
    (lambda rb: rb.users.list(prefix=""), "prefix", "1 to 200"),
    (lambda rb: rb.users.list(prefix="x" * 201), "prefix", "1 to 200"),
    (lambda rb: rb.users.list(prefix="\0"), "prefix", "NUL"),
    (lambda rb: rb.users.list(prefix=7), "prefix", "text"),  # type: ignore[arg-type]
    (lambda rb: rb.users.list(sort="name"), "sort", "-created_at"),  # type: ignore[arg-type]
    (lambda rb: rb.users.list(sort=["id"]), "sort", "-created_at"),  # type: ignore[arg-type]
    (lambda rb: rb.users.count(prefix=""), "prefix", "1 to 200"),
    (lambda rb: rb.users.count(where={"id": "u1"}), "where.id", "neither"),
    (lambda rb: rb.users.find(), "email", "phone_number"),
    (lambda rb: rb.users.find(email=7), "where.email", "text or None"),  # type: ignore[arg-type]
    (lambda rb: rb.feeds.list("u1", count_newest=0), "count_newest", "1 to 10000"),
    (lambda rb: rb.feeds.list("u1", count_newest=10_001), "count_newest", "1 to 10000"),
    (lambda rb: rb.feeds.list("u1", count_newest=True), "count_newest", "1 to 10000"),
    (lambda rb: rb.jobs.get("no such id"), "job_id", "128"),
    (lambda rb: rb.jobs.wait("it", timeout=float("nan")), "timeout", "number of seconds"),
    (lambda rb: rb.jobs.wait("it", timeout="5"), "timeout", "number of seconds"),  # type: ignore[arg-type]
    (lambda rb: rb.jobs.wait("it", timeout=None), "timeout", "number of seconds"),  # type: ignore[arg-type]
    (lambda rb: rb.jobs.cancel("it", timeout=True), "timeout", "number of seconds"),
    (lambda rb: rb.jobs.replay("it", timeout=float("nan")), "timeout", "number of seconds"),
]


@pytest.mark.parametrize(("call", "field", "reason"), WRONG_ARGUMENTS)
def test_a_wrong_argument_is_rejected_by_its_name(call: Call, field: str, reason: str) -> None:
    named, why = only_problem_of(call)

    assert named == field
    assert reason in why


def test_rule_35_all_problems_of_a_list_are_reported_at_once() -> None:
    problems = problems_of(
        lambda rb: rb.users.list(
            limit=0,
            after="x",
            before="\0",
            where={"email": 7, "preferences": {}, "plan": "\0"},
            prefix="",
            sort="name",  # type: ignore[arg-type]
        )
    )

    assert [field for field, _, _ in problems] == [
        "limit",
        "where.email",
        "where.preferences",
        "where.plan",
        "prefix",
        "sort",
        "before",
        "before",
    ]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda rb: rb.users.identify("u1", email="ann@example.com"), "identify"),
        (lambda rb: rb.users.bulk_delete(["u1"], email=None), "bulk_delete"),
        (lambda rb: rb.users.merge("u1", "u2", email=1), "merge"),
        (lambda rb: rb.users.unset_channel_data("u1", "apns", email=1), "unset_channel_data"),
        (lambda rb: rb.workflows.trigger("w", ["u1"], email=1), "trigger"),
    ],
)
def test_an_unknown_option_is_a_type_error_that_names_the_call(call: Call, name: str) -> None:
    rb = recording()

    with pytest.raises(
        TypeError, match=rf"^{name}\(\) got an unexpected keyword argument 'email'(; traits go into the mapping)?$"
    ):
        call(rb)

    assert rb.sent == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"read_timeout": 5}, "read_timeout must be a timedelta"),
        ({"read_timeout": timedelta(seconds=-1)}, "read_timeout must be a timedelta"),
        ({"merge_history": 30}, "merge_history must be a timedelta"),
        ({"limits": 5}, "limits must be a rollbook.Limits"),
        ({"limits": 0}, "limits must be a rollbook.Limits"),
        ({"pool": 5}, "pool must be a rollbook.PoolLimits"),
        ({"pool": PoolLimits(max_connections=0)}, "at least one connection"),
    ],
)
def test_a_client_with_a_wrong_argument_is_rejected_at_once(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotConfigured, match=reason):
        Rollbook(**arguments)


@pytest.mark.parametrize("job_id", ["", "x" * 129, "a b", "ü", "a/b", "a!b", "a\n", 7, b"a"])
def test_an_invalid_job_id_is_rejected(job_id: Any) -> None:
    field, reason = only_problem_of(lambda rb: rb.users.delete("u1", job_id=job_id))

    assert field == "job_id"
    assert "1 to 128" in reason


@pytest.mark.parametrize(
    ("occurred_at", "reason"),
    [
        (datetime(2026, 11, 23), "time zone"),  # noqa: DTZ001
        (NOW + timedelta(minutes=5, microseconds=1), "run_at"),
        (datetime(9999, 12, 31, tzinfo=UTC), "5 minutes ahead"),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "1970"),
        (datetime(1, 1, 1, tzinfo=UTC), "1970"),
        ("2026-11-23T00:00:00Z", "must be a datetime"),
        (1_700_000_000, "must be a datetime"),
        (NOW.date(), "must be a datetime"),
    ],
)
def test_an_invalid_time_is_rejected(occurred_at: Any, reason: str) -> None:
    field, why = only_problem_of(lambda rb: rb.users.delete("u1", occurred_at=occurred_at))

    assert field == "occurred_at"
    assert reason in why


@pytest.mark.parametrize(
    ("recipients", "channels", "limits", "reason"),
    [
        (
            [f"u{number}" for number in range(201)],
            [f"c{number}" for number in range(50)],
            Limits(),
            "201 recipients on 50 channels are 10,050 messages; ROLLBOOK_MAX_MESSAGES allows 10,000 in one trigger",
        ),
        (
            ["u1", "u2", {"id": "u3"}],
            ["in_app", "push"],
            Limits(max_messages=5),
            "3 recipients on 2 channels are 6 messages; ROLLBOOK_MAX_MESSAGES allows 5 in one trigger",
        ),
        (
            [f"u{number}" for number in range(201)],
            [f"c{number}" for number in range(50)],
            Limits(max_messages=1_000_000),
            "201 recipients on 50 channels are 10,050 messages; ROLLBOOK_MAX_MESSAGES allows 10,000 in one trigger",
        ),
    ],
    ids=["default", "lower", "not higher"],
)
def test_rule_44_too_many_messages_are_rejected_with_both_numbers(
    recipients: list[Any], channels: list[str], limits: Limits, reason: str
) -> None:
    named, why = only_problem_of(lambda rb: rb.workflows.trigger("w", recipients, channels=channels), limits)

    assert (named, why) == ("recipients", reason)


def test_rule_44_a_recipient_and_a_channel_that_are_named_twice_count_once() -> None:
    rb = recording(limits=Limits(max_messages=2))

    rb.workflows.trigger("w", ["u1", {"id": "u1"}, "u2", "u1"], channels=["in_app", "in_app"])

    assert len(rb.sent) == 1


def test_rule_44_a_user_update_larger_than_all_that_may_be_kept_is_rejected() -> None:
    limits = Limits(max_user_bytes=100, max_properties_bytes=1_000)

    named, why = only_problem_of(lambda rb: rb.users.identify("u1", {"a": "x" * 200}), limits)

    assert named == "traits"
    assert why.endswith("bytes as JSON; ROLLBOOK_MAX_USER_BYTES allows 100")


@pytest.mark.parametrize(
    "call",
    [
        lambda rb: rb.users.identify("u1", {"a": "x" * 20}),
        lambda rb: rb.users.identify("u1", {"a": "é" * 7}),
    ],
)
def test_properties_over_the_limit_in_bytes_are_rejected(call: Call) -> None:
    field, reason = only_problem_of(call, SMALL)

    assert field == "properties"
    assert "20 bytes" in reason


def test_properties_at_the_limit_are_accepted_and_attributes_do_not_count() -> None:
    rb = recording(limits=SMALL)

    rb.users.identify("u1", {"a": "x" * 6, "b": 0, "name": "A name of more than twenty bytes"})

    assert len(rb.sent) == 1


def test_properties_of_several_jobs_are_not_added_up() -> None:
    rb = recording(limits=SMALL)

    for name in ("a", "b"):
        rb.users.identify("u1", {name: "x" * 12})

    assert len(rb.sent) == 2


def test_inline_users_have_the_same_size_limit() -> None:
    big: Mapping[str, object] = {"id": "u2", "a": "x" * 20}

    field, _ = only_problem_of(lambda rb: rb.workflows.trigger("w", ["u1", big]), SMALL)

    assert field == "recipients[1].properties"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda rb: rb.users.bulk_identify([{"id": "a"}] * 4), "users"),
        (lambda rb: rb.users.bulk_delete(["a"] * 4), "user_ids"),
        (lambda rb: rb.users.bulk_set_preferences(["a"] * 4, "default", {}), "user_ids"),
        (lambda rb: rb.workflows.trigger("w", ["a"] * 3), "recipients"),
    ],
)
def test_limits_of_counts_hold(call: Call, field: str) -> None:
    assert only_problem_of(call, SMALL)[0] == field


def test_a_raised_limit_accepts_more() -> None:
    rb = recording(limits=Limits(max_bulk_users=200))

    rb.users.bulk_delete(f"u{number}" for number in range(200))

    assert len(rb.sent) == 1


@pytest.mark.parametrize(
    ("options", "field", "reason"),
    [
        ({"run_at": datetime(2026, 11, 24)}, "run_at", "time zone"),  # noqa: DTZ001
        ({"run_at": "tomorrow"}, "run_at", "must be a datetime"),
        ({"run_at": datetime(1969, 1, 1, tzinfo=UTC)}, "run_at", "1970"),
        ({"run_at": datetime(3200, 1, 1, tzinfo=UTC)}, "run_at", "too far ahead"),
        ({"delay": -0.001}, "delay", "negative"),
        ({"delay": timedelta(seconds=-1)}, "delay", "negative"),
        ({"delay": timedelta.max}, "delay", "too far ahead"),
        ({"delay": 10**400}, "delay", "too far ahead"),
        ({"delay": 1e300}, "delay", "too far ahead"),
        ({"delay": float("inf")}, "delay", "number of seconds"),
        ({"delay": float("nan")}, "delay", "number of seconds"),
        ({"delay": "3 days"}, "delay", "number of seconds"),
        ({"delay": True}, "delay", "number of seconds"),
        ({"delay": 1, "occurred_at": NOW}, "delay", "together with occurred_at"),
        ({"run_at": NOW, "occurred_at": NOW}, "run_at", "together with occurred_at"),
        ({"run_at": NOW, "delay": 1}, "delay", "together with run_at"),
    ],
)
def test_an_invalid_time_to_run_is_rejected(options: dict[str, Any], field: str, reason: str) -> None:
    named, why = only_problem_of(lambda rb: rb.users.delete("u1", **options))

    assert named == field
    assert reason in why


@pytest.mark.parametrize(
    ("timestamps", "options", "found"),
    [
        ([NOW], {}, [("timestamps", "must be one for each user", None)]),
        (NOW, {}, [("timestamps", "must be a list of timestamps", None)]),
        (
            [datetime(2026, 11, 23), NOW + timedelta(minutes=6)],  # noqa: DTZ001
            {},
            [
                ("timestamps[0]", "must have a time zone, as datetime.now(UTC) has", 0),
                ("timestamps[1]", "is more than 5 minutes ahead", 1),
            ],
        ),
        ([NOW, datetime(1969, 1, 1, tzinfo=UTC)], {}, [("timestamps[1]", "must not be before 1970", 1)]),
        ([NOW, NOW], {"occurred_at": NOW - timedelta(1)}, [("timestamps", "must not be after occurred_at", None)]),
        ([NOW, NOW], {"delay": 5}, [("timestamps", "cannot be given together with delay", None)]),
        ([NOW, NOW], {"run_at": NOW}, [("timestamps", "cannot be given together with run_at", None)]),
    ],
)
def test_invalid_timestamps_are_rejected(timestamps: Any, options: dict[str, Any], found: list[Any]) -> None:
    users = [{"id": "u1"}, {"id": "u2"}]

    assert problems_of(lambda rb: rb.users.bulk_identify(users, timestamps=timestamps, **options)) == found


def test_an_unknown_option_of_a_delete_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="later"):
        recording().users.delete("u1", later=True)  # type: ignore[call-arg]
