"""Unusual input that is valid is kept unchanged, or deferred, and never replaces other input."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from tests.support.builders import DAY, NOW, delete, identify, merge
from tests.support.robustness.invalid_jobs import AT
from tests.support.robustness.invalid_values import INVALID_VALUES, Raw
from tests.support.stores import OnPostgres, arrive

from rollbook_shared.job_states import JobState
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café-Ö-각") for form in ("NFC", "NFD"))
ODD_IDS = [
    " ",
    "\t",
    "\n",
    "a\r\nb",
    "\x7f",
    "\u202egnp.exe",
    "\u200b",
    "\ufeff",
    "\U0010ffff",
    "🧑‍🚀",
    "x" * 256,
    "🧑" * 256,
    "null",
    "0",
    "-1",
    "'; DROP TABLE rollbook.users; --",
    "%s",
    "{}",
    "\\u0000",
    "\\",
    '"',
    "__proto__",
    "constructor",
    "~",
    "!",
    "ann",
    "Ann",
    "ANN",
    "ann ",
    COMPOSED,
    DECOMPOSED,
    "ﬁ",
    "fi",
    "Ⅳ",
    "IV",
    "ß",
    "ss",
]


def test_unusual_ids_are_kept_and_stay_distinct(subject: OnPostgres) -> None:
    jobs = [identify(id_, at=1, job=f"odd-{number}", number=number) for number, id_ in enumerate(ODD_IDS)]

    outcomes = arrive(subject, *map(encode, jobs), now=NOW)

    assert {outcome.state for outcome in outcomes} == {JobState.APPLIED}
    users = subject.world()["users"]
    assert {id_: user["properties"]["number"] for id_, user in users.items()} == {
        id_: number for number, id_ in enumerate(ODD_IDS)
    }


def test_ids_that_differ_in_normalisation_are_two_users(subject: OnPostgres) -> None:
    assert COMPOSED != DECOMPOSED
    jobs: list[Job] = [
        identify(COMPOSED, at=1, job="composed", form="composed"),
        identify(DECOMPOSED, at=1, job="decomposed", form="decomposed"),
        identify("guest", at=1, job="guest"),
        merge(COMPOSED, "guest", at=2, job="merged"),
        delete(DECOMPOSED, at=3, job="deleted"),
    ]

    arrive(subject, *map(encode, jobs), now=NOW)

    users = subject.world()["users"]
    assert list(users) == [COMPOSED]
    assert users[COMPOSED]["properties"] == {"form": "composed"}


def test_unusual_values_and_keys_are_kept(subject: OnPostgres) -> None:
    odd: dict[str, Any] = {
        "": "no name",
        ".": "a dot",
        "a.b": {"a": {"b": 1}},
        "p.a": "looks like a section",
        "__type__": {"__type__": "uuid", "__value__": "x"},
        "$": [[], {}, None, "", 0, False, -1.5, 1e-300, 1 << 1000],
        COMPOSED: 1,
        DECOMPOSED: 2,
        "\\u0000": "\\u0000",
        "text": "\u2028\x01\x7f\U0001f600'\"\\",
        "x" * 10_000: "x" * 100_000,
    }

    (outcome,) = arrive(subject, encode(identify("u", at=1, **odd)), now=NOW)

    assert outcome.state is JobState.APPLIED
    assert subject.world()["users"]["u"]["properties"] == odd


@pytest.mark.parametrize(
    ("occurred_at", "state"),
    [
        (0, JobState.APPLIED),
        (1, JobState.APPLIED),
        (NOW, JobState.APPLIED),
        (NOW + 299_000_000, JobState.APPLIED),
        (NOW + 301_000_000, JobState.DEFERRED),
        (NOW + 400 * DAY, JobState.DEFERRED),
        ((1 << 55) - 1, JobState.DEFERRED),
    ],
)
def test_a_stamp_of_1970_is_applied_and_one_of_the_future_deferred(
    subject: OnPostgres, occurred_at: int, state: JobState
) -> None:
    job = {"v": 1, "kind": "delete", "id": "when", "occurred_at": occurred_at, "user_id": "u"}

    (outcome,) = arrive(subject, json.dumps(job), now=NOW)

    assert outcome.state is state
    assert subject.deferred() == (["when"] if state is JobState.DEFERRED else [])


def test_every_other_body_under_an_id_becomes_a_dead_letter(subject: OnPostgres) -> None:
    first = encode(identify("u", at=1, job="same", n=0))
    others = [encode(identify(f"u{number}", at=1, job="same", n=number)) for number in range(40)]

    outcomes = arrive(subject, first, *others, first, now=NOW)
    later = arrive(subject, *others, first, now=NOW)

    assert [outcomes[0].state, outcomes[-1].state] == [JobState.APPLIED, JobState.DUPLICATE]
    assert {(outcome.state, outcome.code) for outcome in outcomes[1:-1]} == {(JobState.DEAD, "id_reused")}
    assert {(outcome.state, outcome.code) for outcome in later[:-1]} == {(JobState.DEAD, "id_reused")}
    assert subject.dead() == [("same", "id_reused")] * 40
    assert set(subject.world()["users"]) == {"u"}


def test_invalid_users_of_a_bulk_job_are_rejected_with_index_and_field(
    subject: OnPostgres,
) -> None:
    bad: list[tuple[str, Any]] = [
        *(("id", {"id": value}) for value in _plain("user_id") if not isinstance(value, dict)),
        *(("plan", {"id": "x", "traits": {"plan": value}}) for value in _plain("value")),
        *(("email", {"id": "x", "traits": {"email": value}}) for value in _plain("attribute")),
        *(("preferences.default", {"id": "x", "preferences": {"default": value}}) for value in _plain("settings")),
        *(("channel_data.apns", {"id": "x", "channel_data": {"apns": value}}) for value in _plain("object")),
        *(("", value) for value in (None, 7, "u", [], [{"id": "u"}])),
    ]
    users = [each for number, (_, user) in enumerate(bad) for each in (user, {"id": f"good-{number}"})]
    job = {"v": 1, "kind": "bulk_identify", "id": "bulk", "occurred_at": AT, "users": users}

    (outcome,) = arrive(subject, json.dumps(job), now=NOW)

    assert len(bad) >= 80
    assert outcome.state is JobState.APPLIED
    assert set(subject.world()["users"]) == {f"good-{number}" for number in range(len(bad))}
    detail = subject.ledger()["bulk"][2]
    assert detail is not None
    assert detail["applied"] == len(bad)
    rejected = [(item["index"], item["field"]) for item in detail["rejected"]]
    expected = [(2 * number, f"users[{2 * number}].{field}".rstrip(".")) for number, (field, _) in enumerate(bad)]
    wrong = [pair for pair in zip(rejected, expected, strict=True) if pair[0][0] != pair[1][0] or not _within(*pair)]
    assert wrong == []


def _within(found: tuple[int, str], expected: tuple[int, str]) -> bool:
    return found[1].startswith(expected[1])


def _plain(sort: str) -> list[Any]:
    values = INVALID_VALUES[sort].values()
    return [value for value in values if not isinstance(value, Raw) and (value is None or type(value) is not object)]
