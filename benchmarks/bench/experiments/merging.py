"""Merges of users with a long and with a short history, and the feed before and after."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import ClassVar, Final

from benchmarks.bench import filling
from benchmarks.bench.bench import LARGE, Bench
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.sides import Stalled
from benchmarks.bench.sides.ours import RollbookSide

_WITHIN: Final = 60.0
_LOOK: Final = 0.0005


class Merging:
    """A long and a short history, merged in turns.

    A merge is for good, so the histories go from hand to hand: what a round's primary got, the next round's gets from
    it. Both do so, so that both families are of one size. A merge shows when the primary's newest message is the
    secondary's.
    """

    keys: ClassVar[tuple[str, ...]] = ("merge_1m_vs_1k", "feed_after_merge_vs_before")

    def sides(self, bench: Bench) -> Sequence[str]:
        return [LARGE]

    def steps(self, bench: Bench) -> int:
        return 2 + bench.scale.rounds

    def run(self, bench: Bench) -> None:
        turns = bench.rounds()
        side, scale = bench.ours(LARGE), bench.scale
        sizes = {"long": scale.history, "short": scale.short_history}
        for name, count in sizes.items():
            bench.step(f"writing {count:,} messages")
            _write_history(side, f"{name}-0", count)
        filling.settle(side.connection)
        took: dict[str, list[float]] = {name: [] for name in sizes}
        before: dict[str, list[float]] = {name: [] for name in sizes}
        after: dict[str, list[float]] = {name: [] for name in sizes}
        for round_ in range(turns):
            bench.step(f"round {round_ + 1} of {turns}: merging")
            for name in sizes if round_ % 2 else reversed(sizes):
                secondary, primary = f"{name}-{round_}", f"{name}-{round_ + 1}"
                side.rb.users.identify(primary, {"name": primary}).wait(timeout=_WITHIN)
                before[name].append(_feed_seconds(side, secondary, scale.reads))
                took[name].append(_merge_seconds(side, primary, secondary))
                after[name].append(_feed_seconds(side, primary, scale.reads))
        size = {"messages_long": scale.history, "messages_short": scale.short_history}
        value, rounds = median_of_ratios(took["long"], took["short"])
        bench.record(
            Figure(
                key="merge_1m_vs_1k",
                value=value,
                rounds=rounds,
                ours=statistics.median(took["long"]) * 1_000,
                yardstick=statistics.median(took["short"]) * 1_000,
                against=f"the secondary with {scale.short_history:,} messages",
                unit="ms",
                size=size,
            )
        )
        # Each round against the one reading when no merge had touched the history: later ones would hide what the
        # first merge costs.
        ratios = {name: [each / before[name][0] for each in after[name]] for name in sizes}
        worse = max(sizes, key=lambda name: statistics.median(ratios[name]))
        bench.record(
            Figure(
                key="feed_after_merge_vs_before",
                value=statistics.median(ratios[worse]),
                rounds=ratios[worse],
                ours=statistics.median(after[worse]) * 1_000,
                yardstick=before[worse][0] * 1_000,
                against=f"the secondary's feed of {sizes[worse]:,} before any merge",
                unit="ms",
                size=size,
            )
        )


def _write_history(side: RollbookSide, user_id: str, count: int) -> None:
    side.rb.users.identify(user_id, {"name": user_id}).wait(timeout=_WITHIN)
    job = side.rb.workflows.trigger("bench", [user_id], data={"text": "something of the usual length happened"})
    job.wait(timeout=_WITHIN)
    filling.copy_trigger(side.connection, job.id, count)


def _merge_seconds(side: RollbookSide, primary: str, secondary: str) -> float:
    (newest,) = side.rb.messages.list(secondary, limit=1).items
    begin = time.perf_counter()
    side.rb.users.merge(primary, secondary)
    while [message.id for message in side.rb.messages.list(primary, limit=1).items] != [newest.id]:
        if time.perf_counter() - begin > _WITHIN:
            raise Stalled(f"a merge did not show within {_WITHIN:.0f} s{side.last_words()}")
        time.sleep(_LOOK)
    return time.perf_counter() - begin


def _feed_seconds(side: RollbookSide, user_id: str, reads: int) -> float:
    """The median time of reading the first page with its counts."""
    side.rb.feeds.list(user_id)  # warms the cache
    took = []
    for _ in range(reads):
        begin = time.perf_counter()
        if not side.rb.feeds.list(user_id).items:
            raise Stalled(f"the feed of {user_id} is empty")
        took.append(time.perf_counter() - begin)
    return statistics.median(took)
