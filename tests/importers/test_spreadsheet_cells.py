"""No cell of the file of rejected rows is a formula to a spreadsheet, and its import gives what was there."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.interrupted_import import run_import

from rollbook.testing import BulkIdentify, UserUpdate, recording
from rollbook_ops.importers import FileFormat, ImportOptions, RejectedRows
from rollbook_ops.importers.spreadsheet_cells import escape_cell, unescape_cell

CSV = ImportOptions(format=FileFormat.CSV)
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
_cells = st.text(st.sampled_from([*FORMULAS, "'", "a", "1", ","]), max_size=6)


@given(cell=_cells)
def test_an_escaped_cell_is_no_formula_and_comes_back(cell: str) -> None:
    assert not escape_cell(cell).startswith(FORMULAS)
    assert unescape_cell(escape_cell(cell)) == cell


@pytest.mark.parametrize("cell", ["", "ann", "'tis", "a=b", "14155550100", "'"])
def test_a_cell_that_is_no_formula_stays_as_it_is(cell: str) -> None:
    assert escape_cell(cell) == unescape_cell(cell) == cell


def test_a_cell_that_was_corrected_by_hand_is_taken_as_it_is() -> None:
    assert unescape_cell("+14155550100") == "+14155550100"


def imported(source: Path, rejected: Path) -> list[UserUpdate]:
    rollbook = recording()
    with RejectedRows(rejected) as rows:
        run_import(rollbook, source, CSV, rows)
    return [user for job in rollbook.sent.of(BulkIdentify) for user in job.users if isinstance(user, UserUpdate)]


def cells(path: Path) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(path.read_bytes().decode(), newline="")) for cell in row]


def test_a_rejected_row_has_no_formula_and_is_imported_with_its_values(tmp_path: Path) -> None:
    source, rejected = tmp_path / "users.csv", tmp_path / "rejected.csv"
    table = [
        ["id", "email", "phone_number", "=cmd|' /C calc'!A0", "note", "debt"],
        ["ann", "nowhere", "+14155550100", "@SUM(1+1)", "'=already", "-5"],
    ]
    with source.open("w", newline="") as file:
        csv.writer(file).writerows(table)

    assert imported(source, rejected) == []

    assert [cell for cell in cells(rejected) if cell.startswith(FORMULAS)] == []
    assert "'+14155550100" in cells(rejected)
    rejected.write_text(rejected.read_text().replace("nowhere", "ann@example.com"))
    (user,) = imported(rejected, tmp_path / "again.csv")
    assert user.traits == {
        "email": "ann@example.com",
        "phone_number": "+14155550100",
        "=cmd|' /C calc'!A0": "@SUM(1+1)",
        "note": "'=already",
        "debt": -5,
    }


def test_the_names_of_fields_are_no_formulas(tmp_path: Path) -> None:
    source, rejected = tmp_path / "users.csv", tmp_path / "rejected.csv"
    source.write_text('id,=cmd|x\nann,"{""a"": ""\\u0000""}"\n')

    imported(source, rejected)

    assert "'=cmd|x.a" in cells(rejected)
    assert [cell for cell in cells(rejected) if cell.startswith(FORMULAS)] == []


def test_rows_that_stay_wrong_are_escaped_once(tmp_path: Path) -> None:
    source, first, second = tmp_path / "users.csv", tmp_path / "first.csv", tmp_path / "second.csv"
    source.write_text("id,email,=x\nann,nowhere,+1\nbo,@,'+1,-extra\n")
    imported(source, first)

    imported(first, second)

    assert [row.split(",", 4)[4] for row in second.read_text().splitlines()] == [
        row.split(",", 4)[4] for row in first.read_text().splitlines()
    ]


def test_a_file_of_the_application_keeps_its_apostrophes(tmp_path: Path) -> None:
    source = tmp_path / "users.csv"
    source.write_text("id,note\nann,'=x\n")

    (user,) = imported(source, tmp_path / "rejected.csv")

    assert user.traits == {"note": "'=x"}
