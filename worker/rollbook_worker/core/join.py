"""The one rule of convergence: in each slot, the newest fact is kept."""

from __future__ import annotations

from collections.abc import Iterable

from rollbook_worker.core.facts import Fact, Slot

Kept = dict[Slot, Fact]
"""The newest fact of each slot: all that is remembered of the jobs so far."""


def join(kept: Kept, facts: Iterable[Fact]) -> Kept:
    """Add `facts` to `kept` in place, and return it."""
    for fact in facts:
        slot = fact.slot
        known = kept.get(slot)
        if known is None or known.stamp < fact.stamp:
            kept[slot] = fact
    return kept
