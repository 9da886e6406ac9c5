"""How much is measured: the full run, and the quick one that says roughly the same within a minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Sizes of a run."""

    name: str
    rounds: int
    hurry_after: tuple[float, ...]
    """Seconds after each of which later experiments take one round less."""
    drain_seconds: float
    """How long one side should have work for in one round; how many jobs that is, a pilot says."""
    most_jobs: int
    """The most jobs in one round, for staging them takes its time too."""
    bulk_users: int
    """Users in one round of bulk jobs."""
    sends: int
    """Calls in one round of sending; twenty times as many where they are buffered."""
    probes_seconds: float
    """How long the latency of one side is probed in one round."""
    users: int
    """Users that every side knows already."""
    large_users: int
    history: int
    """Messages of the secondary with the long history."""
    short_history: int
    reads: int
    """Times that a feed is read for one median."""
    all_variants: bool
    """Whether stock Celery is tried with 2 processes as well as with 8."""


FULL: Final = Scale(
    name="full",
    rounds=5,
    hurry_after=(),
    drain_seconds=3.0,
    most_jobs=15_000,
    bulk_users=60_000,
    sends=2_000,
    probes_seconds=3.0,
    users=10_000,
    large_users=1_000_000,
    history=1_000_000,
    short_history=1_000,
    reads=3,
    all_variants=True,
)
QUICK: Final = Scale(
    name="quick",
    rounds=3,
    hurry_after=(33.0, 45.0),
    drain_seconds=0.4,
    most_jobs=1_200,
    bulk_users=5_000,
    sends=400,
    probes_seconds=0.3,
    users=10_000,
    large_users=100_000,
    history=20_000,
    short_history=1_000,
    reads=2,
    all_variants=False,
)
