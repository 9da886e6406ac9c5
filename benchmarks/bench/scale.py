"""The sizes of a run: the full one, and the quick one that gives rough figures within a minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Sizes of a run."""

    name: str
    rounds: int
    fewer_rounds_after: tuple[float, ...]
    """After each of these seconds, later experiments take one round less."""
    drain_seconds: float
    """How long the jobs of one round should keep a contender busy; a pilot finds their number."""
    max_jobs: int
    """The most jobs in one round, as staging them takes time too."""
    bulk_users: int
    """Users in one round of bulk jobs."""
    triggers: int
    """Triggers of 1,000 recipients in one round."""
    merges: int
    """Merges in one round."""
    calls: int
    """Calls in one round of publishing; twenty times as many if they are buffered."""
    probes_seconds: float
    """How long the latency of one contender is probed in one round."""
    users: int
    """Users that every contender knows from the start."""
    large_users: int
    history: int
    """Messages of the secondary with the long history."""
    short_history: int
    starts: int
    """How often each program starts in one round, for one median."""
    reads: int
    """How often a feed is read for one median."""
    all_variants: bool
    """Whether stock Celery is measured with 2 processes as well as with 8."""


FULL: Final = Scale(
    name="full",
    rounds=5,
    fewer_rounds_after=(),
    drain_seconds=3.0,
    max_jobs=15_000,
    bulk_users=60_000,
    triggers=60,
    merges=5_000,
    calls=2_000,
    probes_seconds=3.0,
    users=10_000,
    large_users=1_000_000,
    history=1_000_000,
    short_history=1_000,
    starts=5,
    reads=3,
    all_variants=True,
)
QUICK: Final = Scale(
    name="quick",
    rounds=3,
    fewer_rounds_after=(33.0, 45.0),
    drain_seconds=0.4,
    max_jobs=1_200,
    bulk_users=5_000,
    triggers=8,
    merges=600,
    calls=400,
    probes_seconds=0.3,
    users=10_000,
    large_users=100_000,
    history=20_000,
    short_history=1_000,
    starts=3,
    reads=2,
    all_variants=False,
)
