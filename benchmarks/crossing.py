"""How families come to lie across the partitions of a table, and what keeping each in one would move: a simulation.

    python -m benchmarks.crossing [--partitions 16] [--sizes 2,3,5,10] [--families 20000] [--json]

A family of so many ids has grown by one merge after the other. *By id*, each id stays where its hash puts it: nothing
moves, a family may lie across partitions, and a write to it reads in each that holds one of its ids. *By family*, all
ids lie where the family's name does, its smallest id: a write reads in one partition, and a merge moves the id that
joins, or all others when that id is the smallest. With an id go its row and all that was ever addressed to it.
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
    """Of families of one size."""

    across: float
    """By id: the share of them that lie in more than one partition."""
    read: float
    """By id: in how many partitions a write to one reads."""
    moved: float
    """By family: how many ids the last merge moved to another partition."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crossing", description=__doc__.splitlines()[0])
    parser.add_argument("--partitions", type=int, default=16, help="partitions of the table (16)")
    parser.add_argument("--sizes", default="2,3,5,10", help="ids of a family (2,3,5,10)")
    parser.add_argument("--families", type=int, default=20_000, help="families of each size (20,000)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    found = {size: figures(size, given.partitions, given.families, random.Random(size)) for size in sizes}
    if given.json:
        print(json.dumps({size: asdict(those) for size, those in found.items()}))
    else:
        _show(found, given.partitions)


def figures(size: int, partitions: int, families: int, chance: random.Random) -> Figures:
    """What comes of families of so many ids, by simulating as many of them."""
    grown = [[f"{chance.getrandbits(64):016x}" for _ in range(size)] for _ in range(families)]
    read = [len({place(id_, partitions) for id_ in ids}) for ids in grown]
    return Figures(
        across=fmean(number > 1 for number in read),
        read=fmean(read),
        moved=fmean(_moved(ids, partitions) for ids in grown),
    )


def place(id_: str, partitions: int) -> int:
    """The partition of an id."""
    return int.from_bytes(blake2b(id_.encode(), digest_size=_DIGEST_BYTES).digest()) % partitions


def _moved(ids: list[str], partitions: int) -> int:
    """How many ids go elsewhere when the last of them joins the others."""
    *others, joining = ids
    old, new = place(min(others), partitions), place(min(ids), partitions)
    return (len(others) if old != new else 0) + (place(joining, partitions) != new)


def _show(found: dict[int, Figures], partitions: int) -> None:
    table = Table(title=f"{partitions} partitions")
    for heading in ("ids in a family", "by id: across", "by id: partitions read", "by family: ids moved a merge"):
        table.add_column(heading, justify="right")
    for size, those in found.items():
        table.add_row(str(size), f"{those.across:.1%}", f"{those.read:.2f}", f"{those.moved:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
