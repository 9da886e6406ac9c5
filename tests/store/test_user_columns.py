"""The columns that the upsert of users takes: what nearly all users have is left out, and all else can be read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import assume, given
from tests.support.builders import bulk_identify, identify, unset_channel_data, user
from tests.support.conflicting_jobs import job_sets
from tests.support.example_counts import examples

from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import Job
from rollbook_worker.core import facts_of
from rollbook_worker.store import user_columns as module
from rollbook_worker.store.rows import Row, rows_of
from rollbook_worker.store.user_columns import MAX_PROFILE_CHARACTERS, plain_columns, user_columns

Columns = Mapping[str, str | None]


@examples(200)
@given(job_sets)
def test_columns_hold_what_the_rows_do(jobs: list[Job]) -> None:
    rows = _rows(*jobs)
    assume(rows)

    assert [row for columns in user_columns(rows) for row in _read(columns)] == rows


@pytest.mark.parametrize("most", [MAX_PROFILE_CHARACTERS, 250, 10])
def test_columns_of_plain_users_hold_what_their_rows_do(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    job = bulk_identify(*(user(f"u{number}", text="é" * 50) for number in range(5)), at=1, job="it")
    plain = rows_of(facts_of(decode(encode(job)))).plain_users
    monkeypatch.setattr(module, "MAX_PROFILE_CHARACTERS", most)

    statements = list(plain_columns(plain))

    assert len(statements) == {MAX_PROFILE_CHARACTERS: 1, 250: 3, 10: 5}[most]
    assert [row for columns in statements for row in _read(columns)] == _rows(job)
    assert len(plain) == 5


def test_users_with_one_update_each_have_three_columns() -> None:
    (columns,) = user_columns(_rows(bulk_identify(user("a"), user("b"), at=1, job="it")))

    assert {name for name, column in columns.items() if column is not None} == {"ids", "profiles", "last_stamps"}


def test_a_user_who_is_not_identified_has_no_first_identify() -> None:
    rows = _rows(identify("a", at=1), unset_channel_data("b", "push", at=2))

    (columns,) = user_columns(rows)

    assert columns["first_identified"] == f"{rows[0]['first_identified']}/"
    assert columns["last_stamps"] == f"{rows[0]['last_stamp']}/{rows[1]['last_stamp']}"


def test_large_users_come_in_several_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows(bulk_identify(*(user(f"u{number}", text="x" * 100) for number in range(5)), at=1, job="it"))
    monkeypatch.setattr(module, "MAX_PROFILE_CHARACTERS", 250)

    statements = list(user_columns(rows))

    assert [len(_read(columns)) for columns in statements] == [2, 1, 2]
    assert [row for columns in statements for row in _read(columns)] == rows


def test_a_user_larger_than_a_statement_may_be_is_a_statement_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows(identify("a", text="x" * 100, at=1))
    monkeypatch.setattr(module, "MAX_PROFILE_CHARACTERS", 10)

    assert [_read(columns) for columns in user_columns(rows)] == [rows]


def test_an_id_with_the_separator_is_never_written() -> None:
    rows = _rows(bulk_identify(user("a"), user("b"), at=1, job="it"))
    rows[0]["id"] = "a/b"

    with pytest.raises(ValueError, match="slash"):
        list(user_columns(rows))
    with pytest.raises(ValueError, match="slash"):
        list(plain_columns([("a/b", rows[0]["last_stamp"], b"{}"), ("c", rows[1]["last_stamp"], b"{}")]))


def _rows(*jobs: Job) -> list[Row]:
    rows = rows_of(fact for job in jobs for fact in facts_of(job))
    return list(rows.rows_of_users(rows.user_ids))


def _read(columns: Columns) -> list[Row]:
    """The rows, as the statement reads them."""
    ids = (columns["ids"] or "").split("/")
    last_stamps = _texts(columns["last_stamps"], ids)
    base_stamps = _texts(columns["base_stamps"], ids)
    first = _texts(columns["first_identified"], ids)
    identify_stamps = _texts(columns["identify_stamps"], ids)
    profiles = json.loads(columns["profiles"] or "")
    key_stamps = json.loads(columns["key_stamps"] or "[]") or [{} for _ in ids]
    return [
        {
            "id": id_,
            "profile": profiles[number],
            "base_stamp": base_stamps[number] or last_stamps[number],
            "key_stamps": key_stamps[number],
            "first_identified": last_stamps[number] if columns["first_identified"] is None else first[number],
            "last_stamp": last_stamps[number],
            "identify_stamps": identify_stamps[number] or "",
        }
        for number, id_ in enumerate(ids)
    ]


def _texts(column: str | None, ids: Sequence[str]) -> list[str | None]:
    if column is None:
        return [None for _ in ids]
    return [text or None for text in column.split("/")]
