"""The tables of filters and bounds of templates, from the code."""

from __future__ import annotations

from docs.site.generators.source import table

from rollbook_delivery.templates.bounds import (
    BLOCKS,
    FILE_BYTES,
    FILES,
    HEADING_CHARACTERS,
    ITEMS,
    URL_CHARACTERS,
    RenderBounds,
)
from rollbook_delivery.templates.filters import LIST_FILTERS, NUMBER_FILTERS, TEXT_FILTERS, TIME_FILTERS


def filters() -> str:
    """A table for each kind of filter."""
    kinds = (("text", TEXT_FILTERS), ("lists", LIST_FILTERS), ("numbers", NUMBER_FILTERS), ("times", TIME_FILTERS))
    return "\n\n".join(
        table(f"for {kind}", "what it gives", rows=[(f"`{one.usage}`", one.summary) for one in found.values()])
        for kind, found in kinds
    )


def bounds() -> str:
    """The table of bounds."""
    most = RenderBounds()
    return table(
        "of",
        "at most",
        rows=[
            ("the processor time of one message, all parts together", f"{most.cpu_seconds:g} s"),
            ("one part that is rendered, and a text that a filter takes or gives", f"{most.characters:,} characters"),
            ("the repetitions of all loops of one message", f"{most.iterations:,}"),
            ("what `assign` and `capture` keep", f"{most.namespace:,} characters, and 64 for each value and item"),
            ("a list that a filter takes or gives, and a range such as `(1..9)`", f"{ITEMS:,} items"),
            ("blocks within blocks, partials within partials", f"{BLOCKS} levels"),
            ("a subject and a title", f"{HEADING_CHARACTERS} characters; a longer one is shortened"),
            ("an `action_url`", f"{URL_CHARACTERS:,} characters"),
            ("one file", f"{FILE_BYTES // 1024} KiB"),
            ("the folder", f"{FILES:,} templates"),
        ],
    )
