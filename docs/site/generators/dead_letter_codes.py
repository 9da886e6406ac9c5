"""The codes of dead letters, with what each means and what to do about it."""

from __future__ import annotations

from docs.site.generators.source import table

from rollbook_shared.job_states import DeadLetterCode


def page() -> str:
    """The table."""
    rows = [(f"`{code}`", code.meaning, code.advice) for code in DeadLetterCode]
    return table("code", "what it means", "what to do", rows=rows)
