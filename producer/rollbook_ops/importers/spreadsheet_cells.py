"""Cells that a spreadsheet would run as formulas, made harmless in the CSV file of rejected rows.

The cells come from an application's users, and other people open that file. A cell that begins like a formula gets an
apostrophe in front, and so does a cell that begins as if it had one. An import of that file removes the apostrophe
again, so a phone number such as +14155550100 comes back as it was.
"""

from __future__ import annotations

import re
from typing import Final

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n]")


def escape_cell(cell: str) -> str:
    """Return the cell as the file holds it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescape_cell(cell: str) -> str:
    """Return the cell that `escape_cell` was given; a cell that was written by hand stays as it is."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
