"""What is measured, and what is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """One key of the benchmark."""

    key: str
    meaning: str
    """In words for people: ours, and the yardstick beside it."""
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"

    def met_by(self, value: float) -> bool | None:
        """None: nothing was promised."""
        if self.at_least is not None:
            return value >= self.at_least
        if self.at_most is not None:
            return value <= self.at_most
        return None

    def __str__(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g} {self.unit}"
        if self.at_most is not None:
            return f"<= {self.at_most:g} {self.unit}"
        return "-"


GOALS: Final = {
    goal.key: goal
    for goal in (
        Goal(
            key="single_vs_stock_orm",
            at_least=10,
            meaning="identifies applied a second, over stock Celery with an ORM's get, update and commit a task",
        ),
        Goal(
            key="single_vs_stock_upsert",
            at_least=5,
            meaning="the same, over stock Celery with one upsert a task on a kept connection",
        ),
        Goal(
            key="single_vs_best_peer",
            at_least=3,
            meaning="the same, over the better of dramatiq and taskiq with that upsert",
        ),
        Goal(
            key="bulk_vs_floor",
            at_least=0.7,
            meaning="users a second in bulk jobs of 100, over one connection that upserts the same users in batches of "
            "1,000 with no queue and no stamps",
        ),
        Goal(
            key="enqueue_vs_delay",
            at_least=2,
            meaning="`users.identify` calls a second, over `task.delay` of stock Celery",
        ),
        Goal(
            key="buffered_vs_delay",
            at_least=20,
            meaning="the same with `rb.buffered()`, until Redis has all, over `task.delay`",
        ),
        Goal(
            key="merge_1m_vs_1k",
            at_most=1.5,
            meaning="time until a merge shows, secondary with a million messages over one with a thousand",
        ),
        Goal(
            key="feed_after_merge_vs_before",
            at_most=1.5,
            meaning="time to read a feed, as the primary's after the merge over as the secondary's before; the worse "
            "of both secondaries",
        ),
        Goal(
            key="p50_ms",
            at_most=15,
            unit="ms",
            meaning="from the call of `identify` until it can be read, idle: median",
        ),
        Goal(key="p99_ms", unit="ms", meaning="the same: 99th percentile"),
        Goal(
            key="p50_half_load_ms",
            unit="ms",
            meaning="the same while jobs come in at half of the rate of `single_vs_*`: median",
        ),
        Goal(key="p99_half_load_ms", unit="ms", meaning="the same under that load: 99th percentile"),
        Goal(
            key="rate_at_1m_users_vs_10k",
            at_least=0.8,
            meaning="identifies applied a second with a million users in the table, over with ten thousand",
        ),
        Goal(
            key="worker_rss_growth",
            at_most=1.05,
            meaning="memory of the default workers at the end of the run, over after they had warmed up",
        ),
        Goal(
            key="bytes_written_vs_floor",
            at_most=2,
            meaning="WAL bytes of the bulk jobs, over those of the bare batched upsert of the same users",
        ),
        Goal(
            key="events_on_vs_off",
            at_most=2,
            meaning="how many times slower identifies are applied with Celery's events on than off",
        ),
    )
}
