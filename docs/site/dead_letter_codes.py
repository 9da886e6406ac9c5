"""The codes of dead letters, with what each means."""

from __future__ import annotations

from docs.site.source import table

from rollbook_shared.database.tables import dead_letters


def page() -> str:
    """The table."""
    return table("code", "what it means", rows=[(f"`{code}`", "") for code in codes()])


def codes() -> list[str]:
    """Every code that the code gives."""
    comment = dead_letters.c.code.comment
    assert comment is not None
    return [code.strip() for code in comment.split(",")]
