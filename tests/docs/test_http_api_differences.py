"""Each of Knock's own tests that Rollbook answers otherwise has its reason in the documentation."""

from __future__ import annotations

import tomllib

from tests.support.repository import ROOT

PAGE = ROOT / "docs" / "reference" / "http-api-differences.md"
TABLE = ROOT / "tests" / "support" / "knock_suite" / "plugin" / "differences.toml"


def test_every_difference_that_the_suite_expects_is_a_row_of_the_page() -> None:
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    explained = {cells[1].strip() for cells in rows[2:] if all(cell.strip() for cell in cells[1:5])}

    assert explained == set(tomllib.loads(TABLE.read_text())["differences"])
