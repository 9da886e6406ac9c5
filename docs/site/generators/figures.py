"""The table of the figures that maintenance measures."""

from __future__ import annotations

from docs.site.generators.source import table

from rollbook_shared.figures import FIGURES


def page() -> str:
    """The table."""
    return table("figure", "what it is", rows=[(f"`{name}`", text) for name, text in FIGURES.items()])
