"""The value of a cell of an imported CSV file."""

from __future__ import annotations

from typing import Any

import pytest

from rollbook_ops.importers.csv_files import parse_cell


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("email", "5", "5"),
        ("name", "null", "null"),
        ("created_at", "2026-01-31T09:30:00Z", "2026-01-31T09:30:00Z"),
        ("id", "123", "123"),
        ("seats", "5", 5),
        ("seats", "-5", -5),
        ("seats", "0", 0),
        ("score", "2.50", 2.5),
        ("active", "true", True),
        ("active", "false", False),
        ("active", "True", "True"),
        ("plan", "null", None),
        ("plan", "pro", "pro"),
        ("plan", " 5", " 5"),
        ("zip", "00501", "00501"),
        ("phone", "+4930123456", "+4930123456"),
        ("code", "1e5", "1e5"),
        ("code", "0x10", "0x10"),
        ("code", "NaN", "NaN"),
        ("code", "٣", "٣"),
        ("address", '{"city": "Oslo"}', {"city": "Oslo"}),
        ("tags", '["a", 1]', ["a", 1]),
        ("note", "{not json", "{not json"),
        ("note", "[NaN]", "[NaN]"),
        ("note", '"quoted"', '"quoted"'),
        ("channel_data", '{"apns": {"tokens": []}}', {"apns": {"tokens": []}}),
    ],
)
def test_a_cell_is_parsed(column: str, cell: str, value: Any) -> None:
    read = parse_cell(column, cell, ())

    assert read == value
    assert type(read) is type(value)


def test_a_text_column_is_never_read_as_json() -> None:
    assert parse_cell("zip", "12345", ("zip",)) == "12345"
