"""The command line of the benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bench.goals import GOALS
from benchmarks.bench.scale import FULL, QUICK, Scale


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """The options."""

    scale: Scale
    as_json: bool
    write: bool
    peers: bool
    keys: frozenset[str]
    """The keys to measure."""


def parse(arguments: Sequence[str]) -> Arguments:
    """Parse the command line; exits with a message if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description="Compare Rollbook with what users would write instead. Starts its own servers. Use an idle machine "
        "with two cores. The full run takes a quarter of an hour, --quick less than a minute.",
    )
    parser.add_argument("--quick", action="store_true", help="smaller and less precise: less than a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON object, last on stdout")
    parser.add_argument("--only", action="append", metavar="KEY", default=[], help="only this key; repeatable")
    parser.add_argument("--write", action="store_true", help="write results/ and the tables in both README files")
    parser.add_argument("--no-peers", action="store_true", help="skip dramatiq and taskiq, and do not install them")
    given = parser.parse_args(arguments)
    if unknown := [key for key in given.only if key not in GOALS]:
        parser.error(f"unknown key: {', '.join(unknown)}; the keys are {', '.join(GOALS)}")
    if given.write and (given.only or given.no_peers):
        parser.error("--write needs all keys; remove --only and --no-peers")
    return Arguments(
        scale=QUICK if given.quick else FULL,
        as_json=given.json,
        write=given.write,
        peers=not given.no_peers,
        keys=frozenset(given.only or GOALS),
    )
