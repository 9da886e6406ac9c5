"""The keys of the benchmark, and the goal of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """One key of the benchmark."""

    key: str
    meaning: str
    """What is measured, and the baseline that it is compared with."""
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"

    def met_by(self, value: float) -> bool | None:
        """Whether the value meets the goal; None if the key has no goal."""
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
            meaning="identifies applied per second, relative to stock Celery with an ORM's get, update and commit",
        ),
        Goal(
            key="single_vs_stock_upsert",
            at_least=5,
            meaning="the same, relative to stock Celery with one upsert per task on a kept connection",
        ),
        Goal(
            key="single_vs_best_peer",
            at_least=5,
            meaning="the same, relative to the better of dramatiq and taskiq with that upsert",
        ),
        Goal(
            key="bulk_vs_floor",
            at_least=0.85,
            meaning="users per second in bulk jobs of 100, relative to one connection that upserts the same users in "
            "batches of 1,000, without queue and stamps",
        ),
        Goal(
            key="trigger_vs_floor",
            meaning="messages per second that one worker makes of triggers with 1,000 recipients and two channels, "
            "relative to one connection that copies the same rows into the same tables",
        ),
        Goal(
            key="merge_vs_floor",
            meaning="merges of a guest per second by one worker, relative to one connection that writes the rows which "
            "they leave, 200 merges to a transaction",
        ),
        Goal(
            key="enqueue_vs_delay",
            at_least=2,
            meaning="`users.identify` calls per second, relative to `task.delay` of stock Celery",
        ),
        Goal(
            key="buffered_vs_delay",
            at_least=20,
            meaning="the same with `rb.buffered()`, until Redis has everything, relative to `task.delay`",
        ),
        Goal(
            key="merge_1m_vs_1k",
            at_most=1.5,
            meaning="time until a merge is visible, of a secondary with a million messages relative to a thousand",
        ),
        Goal(
            key="feed_after_merge_vs_before",
            at_most=1.5,
            meaning="time to read a feed, of the primary after the merge relative to the secondary before it; the "
            "worse of both secondaries",
        ),
        Goal(
            key="p50_ms",
            at_most=15,
            unit="ms",
            meaning="time from the call of `identify` until it can be read, without load: median",
        ),
        Goal(key="p99_ms", unit="ms", meaning="the same: 99th percentile"),
        Goal(
            key="p50_half_load_ms",
            unit="ms",
            meaning="the same while jobs arrive at half of the rate of `single_vs_*`: median",
        ),
        Goal(key="p99_half_load_ms", at_most=40, unit="ms", meaning="the same under that load: 99th percentile"),
        Goal(
            key="p50_same_load_vs_stock",
            at_most=1.0,
            meaning="the same while jobs arrive at half of the rate of stock Celery with the upsert, relative to stock "
            "Celery at that rate: median",
        ),
        Goal(
            key="p99_same_load_vs_stock",
            at_most=1.0,
            meaning="the same at that rate: 99th percentile",
        ),
        Goal(
            key="http_identify_respond_async",
            at_least=0.35,
            meaning="identifies per second over HTTP with `Prefer: respond-async` and an idempotency key, one server "
            "process, relative to `users.identify` of one client",
        ),
        Goal(
            key="http_identify_vs_direct",
            meaning="the same, each answered when a worker has applied it",
        ),
        Goal(
            key="http_p50_ms",
            unit="ms",
            meaning="time of one identify over HTTP until it is applied and answered, beside that of the client with "
            "`wait()`: median",
        ),
        Goal(key="http_p99_ms", unit="ms", meaning="the same: 99th percentile"),
        Goal(
            key="http_feed_vs_client",
            at_most=2,
            meaning="time to read a feed of 30 messages over HTTP, relative to the client",
        ),
        Goal(
            key="users_get_vs_bare_select",
            at_most=3,
            meaning="time to read a user with `users.get`, relative to a bare SELECT of her row on a kept connection",
        ),
        Goal(
            key="rate_at_1m_users_vs_10k",
            at_least=0.8,
            meaning="identifies applied per second with a million users in the table, relative to ten thousand",
        ),
        Goal(
            key="find_at_1m_users_vs_10k",
            at_most=1.2,
            meaning="time to find users, by e-mail address, prefix and order, among a million relative to ten thousand",
        ),
        Goal(
            key="feed_at_1m_users_vs_10k",
            at_most=1.2,
            meaning="time to read a feed of 30 messages beside a million users, relative to ten thousand",
        ),
        Goal(
            key="import_ms",
            at_most=50,
            unit="ms",
            meaning="processor time of `from rollbook import Rollbook`",
        ),
        Goal(
            key="first_identify_ms",
            unit="ms",
            meaning="processor time of that import, of making a client, and of its first `users.identify`",
        ),
        Goal(
            key="cli_start_ms",
            at_most=500,
            unit="ms",
            meaning="processor time of a command that does nothing: the slowest of `rollbook --help`, "
            "`rollbook --version` and `rollbook relay --help`",
        ),
        Goal(
            key="worker_mb",
            at_most=100,
            unit="MB",
            meaning="memory of one default worker after 10,000 jobs and more: its proportional set size, with its "
            "children; the larger of both",
        ),
        Goal(
            key="worker_rss_growth",
            at_most=1.05,
            meaning="memory of the default workers at the end of the run, relative to after their warm-up",
        ),
        Goal(
            key="bytes_written_vs_floor",
            at_most=2,
            meaning="WAL bytes of the bulk jobs, relative to the bare batched upsert of the same users",
        ),
        Goal(
            key="events_on_vs_off",
            at_most=2,
            meaning="how many times slower identifies are applied while a monitor receives Celery's events",
        ),
    )
}
