"""Simulates how identity clusters spread over the partitions of a table, and what keeping each in one would move.

    python -m benchmarks.cluster_simulation [--partitions 16] [--sizes 2,3,5,10] [--clusters 20000] [--json]

A cluster grows by one merge after the other. *By id*, each id stays in the partition of its hash: nothing moves, a
cluster may spread over partitions, and a write to it reads in each of them. *By cluster*, all ids are in the partition
of the cluster's root, its smallest id: a write reads in one partition, and a merge moves the id that joins, or all
others if that id is the smallest. An id moves with its row and with everything that was ever addressed to it.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict, dataclass
from hashlib import blake2b
from statistics import fmean
from typing import Final

from rich.console import Console
from rich.table import Table

_DIGEST_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of clusters of one size."""

    spread_share: float
    """By id: the share of clusters in more than one partition."""
    partitions_read: float
    """By id: in how many partitions a write to a cluster reads."""
    ids_moved: float
    """By cluster: how many ids the last merge moved to another partition."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster_simulation", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--partitions", type=int, default=16, help="partitions of the table (16)")
    parser.add_argument("--sizes", default="2,3,5,10", help="ids of a cluster (2,3,5,10)")
    parser.add_argument("--clusters", type=int, default=20_000, help="clusters of each size (20,000)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    found = {size: figures(size, given.partitions, given.clusters, random.Random(size)) for size in sizes}
    if given.json:
        print(json.dumps({size: asdict(result) for size, result in found.items()}))
    else:
        _show(found, given.partitions)


def figures(size: int, partitions: int, clusters: int, rng: random.Random) -> Figures:
    """Simulate clusters of this many ids."""
    simulated = [[f"{rng.getrandbits(64):016x}" for _ in range(size)] for _ in range(clusters)]
    partitions_read = [len({partition_of(id_, partitions) for id_ in ids}) for ids in simulated]
    return Figures(
        spread_share=fmean(number > 1 for number in partitions_read),
        partitions_read=fmean(partitions_read),
        ids_moved=fmean(_ids_moved(ids, partitions) for ids in simulated),
    )


def partition_of(id_: str, partitions: int) -> int:
    """The partition of an id."""
    return int.from_bytes(blake2b(id_.encode(), digest_size=_DIGEST_BYTES).digest()) % partitions


def _ids_moved(ids: list[str], partitions: int) -> int:
    """How many ids move to another partition when the last of them joins the others."""
    *others, joining = ids
    old, new = partition_of(min(others), partitions), partition_of(min(ids), partitions)
    return (len(others) if old != new else 0) + (partition_of(joining, partitions) != new)


def _show(found: dict[int, Figures], partitions: int) -> None:
    table = Table(title=f"{partitions} partitions")
    for heading in ("ids in a cluster", "by id: spread", "by id: partitions read", "by cluster: ids moved per merge"):
        table.add_column(heading, justify="right")
    for size, result in found.items():
        table.add_row(
            str(size), f"{result.spread_share:.1%}", f"{result.partitions_read:.2f}", f"{result.ids_moved:.2f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
