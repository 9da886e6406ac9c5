"""Merges of users with a long and with a short history, and the feed before and after."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import ClassVar, Final

from benchmarks.bench import seeding
from benchmarks.bench.bench import LARGE, Bench
from benchmarks.bench.contenders import Stalled
from benchmarks.bench.contenders.rollbook import RollbookSingle
from benchmarks.bench.figures import Figure, median_of_ratios

_WITHIN: Final = 60.0
_POLL_SECONDS: Final = 0.0005


class Merges:
    """Merges of a long and of a short history, in turn.

    A merge is permanent, so the primary of one round is the secondary of the next. Both histories do this, so that both
    identity clusters have the same size. A merge is visible when the primary's newest message is the secondary's.
    """

    keys: ClassVar[tuple[str, ...]] = ("merge_1m_vs_1k", "feed_after_merge_vs_before")

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [LARGE]

    def steps(self, bench: Bench) -> int:
        return 2 + bench.scale.rounds

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        contender, scale = bench.ours(LARGE), bench.scale
        sizes = {"long": scale.history, "short": scale.short_history}
        for name, count in sizes.items():
            bench.step(f"writing {count:,} messages")
            _write_history(contender, f"{name}-0", count)
        seeding.vacuum(contender.connection)
        took: dict[str, list[float]] = {name: [] for name in sizes}
        before: dict[str, list[float]] = {name: [] for name in sizes}
        after: dict[str, list[float]] = {name: [] for name in sizes}
        for round_ in range(turns):
            bench.step(f"round {round_ + 1} of {turns}: merging")
            for name in sizes if round_ % 2 else reversed(sizes):
                secondary, primary = f"{name}-{round_}", f"{name}-{round_ + 1}"
                contender.rb.users.identify(primary, {"name": primary}).wait(timeout=_WITHIN)
                before[name].append(_feed_seconds(contender, secondary, scale.reads))
                took[name].append(_merge_seconds(contender, primary, secondary))
                after[name].append(_feed_seconds(contender, primary, scale.reads))
        size = {"messages_long": scale.history, "messages_short": scale.short_history}
        value, rounds = median_of_ratios(took["long"], took["short"])
        bench.record(
            Figure(
                key="merge_1m_vs_1k",
                value=value,
                rounds=rounds,
                ours=statistics.median(took["long"]) * 1_000,
                baseline=statistics.median(took["short"]) * 1_000,
                against=f"the secondary with {scale.short_history:,} messages",
                unit="ms",
                size=size,
            )
        )
        # Each round is compared with the reading before the first merge: later ones would hide what the first merge
        # costs.
        ratios = {name: [each / before[name][0] for each in after[name]] for name in sizes}
        worse = max(sizes, key=lambda name: statistics.median(ratios[name]))
        bench.record(
            Figure(
                key="feed_after_merge_vs_before",
                value=statistics.median(ratios[worse]),
                rounds=ratios[worse],
                ours=statistics.median(after[worse]) * 1_000,
                baseline=before[worse][0] * 1_000,
                against=f"the secondary's feed of {sizes[worse]:,} before any merge",
                unit="ms",
                size=size,
            )
        )


def _write_history(contender: RollbookSingle, user_id: str, count: int) -> None:
    contender.rb.users.identify(user_id, {"name": user_id}).wait(timeout=_WITHIN)
    job = contender.rb.workflows.trigger("bench", [user_id], data={"text": "something of the usual length happened"})
    job.wait(timeout=_WITHIN)
    seeding.copy_trigger(contender.connection, job.id, count)


def _merge_seconds(contender: RollbookSingle, primary: str, secondary: str) -> float:
    (newest,) = contender.rb.messages.list(secondary, limit=1).items
    begin = time.perf_counter()
    contender.rb.users.merge(primary, secondary)
    while [message.id for message in contender.rb.messages.list(primary, limit=1).items] != [newest.id]:
        if time.perf_counter() - begin > _WITHIN:
            raise Stalled(f"a merge was not visible within {_WITHIN:.0f} s{contender.log_tails()}")
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - begin


def _feed_seconds(contender: RollbookSingle, user_id: str, reads: int) -> float:
    """The median time to read the first page with its counts."""
    contender.rb.feeds.list(user_id)  # warms the cache
    took = []
    for _ in range(reads):
        begin = time.perf_counter()
        if not contender.rb.feeds.list(user_id).items:
            raise Stalled(f"the feed of {user_id} is empty")
        took.append(time.perf_counter() - begin)
    return statistics.median(took)
