"""The search keys that Postgres stores are those that the client looks for (rule 35)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.example_counts import examples

from rollbook_shared.domain.attributes import attribute_problem
from rollbook_shared.domain.search_keys import CAPITALS, SMALLS, email_key, end_of_prefix, name_key
from rollbook_shared.domain.stamps import microseconds

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=250)
scripts = st.text(st.sampled_from([*CAPITALS, *SMALLS, "ß", "İ", "ǅ", "Ⓐ", "-"]), max_size=20)


@pytest.fixture(scope="module")
def connection(database_url: str) -> psycopg.Connection:
    return psycopg.connect(database_url, autocommit=True)


def stored(connection: psycopg.Connection, expression: str, text: str) -> object:
    row = connection.execute(f"SELECT {expression}".encode(), {"text": text}).fetchone()
    assert row is not None
    return row[0]


@examples(300)
@given(text=texts | scripts)
def test_a_name_is_folded_by_postgres_as_by_the_client(connection: psycopg.Connection, text: str) -> None:
    assert stored(connection, "rollbook.name_key(%(text)s)", text) == name_key(text)


@examples(300)
@given(text=texts | scripts)
def test_an_address_is_folded_by_postgres_as_by_the_client(connection: psycopg.Connection, text: str) -> None:
    assert stored(connection, "rollbook.email_key(%(text)s)", text) == email_key(text)


@examples(200)
@given(text=scripts)
def test_folding_is_what_lower_does_to_single_characters(text: str) -> None:
    assert all(name_key(character) in (character, character.lower()) for character in text)
    assert name_key(name_key(text)) == name_key(text)
    assert not set(name_key(text)) & set(CAPITALS)


@examples(200)
@given(prefix=texts.filter(bool), rest=texts, other=texts)
def test_the_end_of_a_prefix_is_after_all_that_have_it_and_before_others(prefix: str, rest: str, other: str) -> None:
    end = end_of_prefix(prefix)

    assert end is None or prefix + rest < end
    if not other.startswith(prefix):
        assert other < prefix or (end is not None and end <= other)


@examples(300)
@given(
    at=st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001
    offset=st.integers(-(24 * 60 - 1), 24 * 60 - 1),
    separator=st.sampled_from("Tt "),
    digits=st.text("0123456789", max_size=38),
    is_utc=st.booleans(),
)
def test_a_time_is_read_by_postgres_as_by_python(
    connection: psycopg.Connection, at: datetime, offset: int, separator: str, digits: str, is_utc: bool
) -> None:
    zone = "z" if is_utc else f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    text = f"{at:%Y}".rjust(4, "0") + f"{at:-%m-%d}{separator}{at:%H:%M:%S}{'.' if digits else ''}{digits}{zone}"

    assert attribute_problem("created_at", text) is None
    whole = at.replace(microsecond=int(digits[:6].ljust(6, "0") or 0), tzinfo=UTC)
    wanted = microseconds(whole - (timedelta() if is_utc else timedelta(minutes=offset)))
    assert stored(connection, "rollbook.microseconds(%(text)s)", text) == wanted
