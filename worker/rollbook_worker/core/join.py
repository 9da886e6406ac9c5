"""The one rule of convergence: in each register, the newest fact is kept.

The rule is stated here. Where it runs on Postgres it has other forms, which must agree with this one; `tests/core` and
`tests/store` compare them:

- `store/rows.py` keeps the newest value per profile key within one batch, and each activity and message once,
- `newer_values` and `newer_stamps` (migration 0001) and the upsert in `store/sql/jobs_and_users.sql` do so between a
  batch and what is stored,
- `store/sql/history.sql` does so for engagements; facts that never change need only `ON CONFLICT DO NOTHING`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollbook_worker.core.facts import Fact, RegisterKey

Registers = dict[RegisterKey, Fact]
"""The newest fact of each register: all that is kept of the jobs so far."""


def join(registers: Registers, facts: Iterable[Fact]) -> Registers:
    """Add `facts` to `registers` in place, and return it."""
    for fact in facts:
        key = fact.register_key
        kept = registers.get(key)
        if kept is None or kept.stamp < fact.stamp:
            registers[key] = fact
    return registers
