"""The command line of the benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bench.goals import GOALS
from benchmarks.bench.scale import FULL, QUICK, Scale


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """What was asked for."""

    scale: Scale
    as_json: bool
    write: bool
    peers: bool
    keys: frozenset[str]
    """The keys that are wanted."""


def parse(arguments: Sequence[str]) -> Arguments:
    """Read the command line; ends the program with a message when it cannot be used."""
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description="Measure Rollbook beside what users would write instead. Starts its own servers; two cores and "
        "nothing else to do are what it wants. The full run takes a quarter of an hour, --quick less than a minute.",
    )
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: under a minute, and rougher")
    parser.add_argument("--json", action="store_true", help="one JSON object, last on stdout; the table to stderr")
    parser.add_argument("--only", action="append", metavar="KEY", default=[], help="measure this key; again for more")
    parser.add_argument("--write", action="store_true", help="write results/, and the tables in both README files")
    parser.add_argument(
        "--no-peers", action="store_true", help="leave dramatiq and taskiq out, and do not install them"
    )
    given = parser.parse_args(arguments)
    if unknown := [key for key in given.only if key not in GOALS]:
        parser.error(f"no such key: {', '.join(unknown)}; there are {', '.join(GOALS)}")
    if given.write and (given.only or given.no_peers):
        parser.error("--write needs all keys: leave --only and --no-peers out")
    return Arguments(
        scale=QUICK if given.quick else FULL,
        as_json=given.json,
        write=given.write,
        peers=not given.no_peers,
        keys=frozenset(given.only or GOALS),
    )
