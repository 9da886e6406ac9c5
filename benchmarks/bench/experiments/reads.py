"""Reads: of one user beside a bare SELECT, and of searched users and a feed beside few and beside many users."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from benchmarks.bench import seeding
from benchmarks.bench.bench import LABELS, LARGE, OURS, Bench
from benchmarks.bench.contenders.rollbook import RollbookSingle
from benchmarks.bench.figures import Figure, median_of_ratios
from benchmarks.bench.users import known_id, traits

from rollbook_worker.migrations.optional_indexes import create_index

_MESSAGES: Final = 30
"""Messages of the feed: what a bell shows."""
_READER: Final = "feed-reader"
_INDEXES: Final = ("prefix", "created_at")
"""The optional indexes that the reads need."""
_READS: Final = 30
"""Reads of each kind in one round, for one median."""
_USER_READS: Final = 500
"""The same of one user."""


class Reads:
    """The same reads on a small and on a large table, one by one in turns."""

    keys: ClassVar[tuple[str, ...]] = ("find_at_1m_users_vs_10k", "feed_at_1m_users_vs_10k")

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [OURS, LARGE]

    def steps(self, bench: Bench) -> int:
        return 1 + bench.scale.rounds

    def run(self, bench: Bench) -> None:
        bench.step("writing messages")
        sides = {name: bench.ours(name) for name in (OURS, LARGE)}
        for side in sides.values():
            seeding.write_feed(side.rb, side.connection, _READER, _MESSAGES)
            for index in _INDEXES:
                create_index(side.database_url, index)
            side.connection.execute("VACUUM ANALYZE rollbook.users")
        took: dict[str, dict[str, list[float]]] = {key: {name: [] for name in sides} for key in self.keys}
        for number in range(rounds := bench.rounds()):
            bench.step(f"round {number + 1} of {rounds}: reading")
            for key, read in zip(self.keys, (_find, _read_feed), strict=True):
                seconds = _in_turns(sides, read)
                for name in sides:
                    took[key][name].append(statistics.median(seconds[name]))
        for key in self.keys:
            value, ratios = median_of_ratios(took[key][LARGE], took[key][OURS])
            bench.record(
                Figure(
                    key=key,
                    value=value,
                    rounds=ratios,
                    ours=statistics.median(took[key][LARGE]) * 1_000,
                    baseline=statistics.median(took[key][OURS]) * 1_000,
                    against=LABELS["users_small"],
                    unit="ms",
                    size={"users_large": bench.scale.large_users, "users_small": bench.scale.users},
                )
            )


class UserRead:
    """Of one user, over and over: the client's call and a bare SELECT of her row, in turns."""

    keys: ClassVar[tuple[str, ...]] = ("users_get_vs_bare_select",)

    def contenders(self, bench: Bench) -> Sequence[str]:
        return [OURS]

    def steps(self, bench: Bench) -> int:
        return bench.scale.rounds

    def run(self, bench: Bench) -> None:
        side = bench.ours()
        took: dict[str, list[float]] = {"get": [], "select": []}
        for number in range(rounds := bench.rounds()):
            bench.step(f"round {number + 1} of {rounds}: reading a user")
            seconds: dict[str, list[float]] = {name: [] for name in took}
            for turn in range(_USER_READS + 1):
                user_id = known_id(random.randrange(side.known))
                for name, read in (
                    (("get", _get), ("select", _select)) if turn % 2 else (("select", _select), ("get", _get))
                ):
                    begin = time.perf_counter()
                    read(side, user_id)
                    if turn:
                        seconds[name].append(time.perf_counter() - begin)
            for name in took:
                took[name].append(statistics.median(seconds[name]))
        value, ratios = median_of_ratios(took["get"], took["select"])
        bench.record(
            Figure(
                key="users_get_vs_bare_select",
                value=value,
                rounds=ratios,
                ours=statistics.median(took["get"]) * 1_000,
                baseline=statistics.median(took["select"]) * 1_000,
                against="psycopg, SELECT of the row by its primary key",
                unit="ms",
                size={"users_known": bench.scale.users},
            )
        )


def _get(side: RollbookSingle, user_id: str) -> None:
    if side.rb.users.get(user_id).id != user_id:
        raise RuntimeError("another user was read")


def _select(side: RollbookSingle, user_id: str) -> None:
    if side.connection.execute("SELECT id, profile FROM rollbook.users WHERE id = %s", [user_id]).fetchone() is None:
        raise RuntimeError("the user was not found")


def _in_turns(sides: dict[str, RollbookSingle], read: Callable[[RollbookSingle], None]) -> dict[str, list[float]]:
    """The seconds of each read. The first of each side warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(_READS + 1):
        for name in random.sample(sorted(sides), len(sides)):
            begin = time.perf_counter()
            read(sides[name])
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def _find(side: RollbookSingle) -> None:
    """What a support person does: an address, the beginning of a name, the next page, and how many there are."""
    users = side.rb.users
    known = traits(random.randrange(1, side.known), 0)
    if not users.find(email=known["email"].upper()):
        raise RuntimeError("the user was not found")
    page = users.list(prefix=known["name"][:15], limit=20)
    users.list(prefix=known["name"][:15], limit=20, after=page.after)
    users.list(sort="-created_at", limit=20)
    users.count(prefix=known["email"])


def _read_feed(side: RollbookSingle) -> None:
    seeding.read_feed(side.rb, _READER, _MESSAGES)
