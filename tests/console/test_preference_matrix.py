"""What applies to each workflow and category on each channel, and which setting says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rollbook import ExplainedValue
from rollbook_server.console.preference_matrix import MOST_ROWS, Matrix, matrices
from rollbook_shared.registry import Registry, parse_registry

REGISTRY = parse_registry(
    """
[channels.in_app]
type = "in_app"

[channels.mail]
type = "email"

[workflows.comment]
channels = ["in_app", "mail"]
categories = ["social"]
"""
)


def setting(*path: str, value: Any) -> ExplainedValue:
    return ExplainedValue(
        section="preferences",
        path=("default", *path),
        value=value,
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        job_id="j",
        user_id="ann",
    )


def cells(matrix: Matrix, key: str) -> dict[str, tuple[bool, str]]:
    (row,) = [row for row in matrix.rows if row.key == key]
    return {channel: (cell.is_on, cell.why) for channel, cell in zip(matrix.channels, row.cells, strict=True)}


def test_without_settings_everything_is_on_because_nothing_is_set() -> None:
    (matrix,) = matrices([], REGISTRY)

    assert [(row.kind, row.key) for row in matrix.rows] == [("category", "social"), ("workflow", "comment")]
    assert cells(matrix, "comment") == {"in_app": (True, "nothing set"), "email": (True, "nothing set")}


@pytest.mark.parametrize(
    ("path", "value", "off"),
    [
        (("workflows", "comment"), False, {"in_app", "email"}),
        (("workflows", "comment"), {"channel_types": {"email": False}}, {"email"}),
        (("workflows", "comment", "channel_types", "email"), False, {"email"}),
        (("categories", "social"), False, {"in_app", "email"}),
        (("categories", "social", "channel_types", "in_app"), False, {"in_app"}),
        (("channel_types", "email"), False, {"email"}),
    ],
)
def test_one_setting_that_is_off_decides(path: tuple[str, ...], value: Any, off: set[str]) -> None:
    on = setting("workflows", "other", value=True)

    (matrix,) = matrices([on, setting(*path, value=value)], REGISTRY)

    found = cells(matrix, "comment")
    assert {channel for channel, (is_on, _) in found.items() if not is_on} == off
    assert all(path[1] in found[channel][1] for channel in off)


def test_a_setting_that_is_on_does_not_stand_over_one_that_is_off() -> None:
    settings = [setting("workflows", "comment", value=True), setting("channel_types", "email", value=False)]

    (matrix,) = matrices(settings, REGISTRY)

    assert cells(matrix, "comment") == {
        "in_app": (True, "workflows / comment"),
        "email": (False, "channel_types / email"),
    }


def test_what_the_registry_does_not_name_has_rows_and_columns_too() -> None:
    (matrix,) = matrices([setting("workflows", "old", "channel_types", "fax", value=False)], REGISTRY)

    assert matrix.channels == ("in_app", "email", "fax")
    assert cells(matrix, "old")["fax"] == (False, "workflows / old / channel_types / fax")


def test_a_table_is_bounded() -> None:
    settings = [setting("workflows", f"w{number}", value=True) for number in range(MOST_ROWS + 5)]

    (matrix,) = matrices(settings, Registry())

    assert (len(matrix.rows), matrix.left_out) == (MOST_ROWS, 5)
