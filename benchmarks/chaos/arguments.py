"""The command line of the chaos run."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Final

from benchmarks.chaos.fault_kinds import FAULT_KINDS, ONLY_WITH_NAMESPACES, ONLY_WITHOUT_NAMESPACES, kinds_of

OWN: Final = "own"
TRANSPORTS: Final = (OWN, "stock")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """The options."""

    seed: int
    seeds: tuple[int, ...]
    """Run one after the other; empty: `seed` alone."""
    keep_going: bool
    jobs: int
    seconds: float
    every: float
    within: float
    kinds: frozenset[str]
    transport: str
    broker: Path | None
    """The program to start as the broker; None: Valkey."""
    has_namespaces: bool
    """Whether each process has a network namespace of its own."""
    has_retention: bool
    """Whether messages have a retention, and an old history is dropped during the run."""
    as_json: bool
    logs: Path | None


def parse(arguments: Sequence[str]) -> Arguments:
    """Parse the command line; exits with a message if it is invalid."""
    kinds = "\n".join(f"  {name:20} {kind.description}{_condition(name)}" for name, kind in FAULT_KINDS.items())
    parser = argparse.ArgumentParser(
        prog="./run chaos",
        description=fill(
            "Send random jobs through real workers while processes are killed, connections are cut and servers "
            "restart, and while senders hand messages over and die. At the end compare all that Postgres shows with a "
            "simple reference implementation, and what senders did with what they may do. Starts "
            "its own servers. The exit code is 0 if both are equal and nothing was lost, otherwise 1."
        ),
        epilog=f"kinds of faults:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same jobs and faults (1)")
    parser.add_argument(
        "--seeds",
        metavar="N|A-B",
        help="run several seeds: N of them from --seed on, or those from A to B",
    )
    parser.add_argument("--keep-going", action="store_true", help="with --seeds: go on after a seed that fails")
    parser.add_argument(
        "--jobs", type=int, default=10_000, help="distinct jobs, each sent 1.5 times on average (10,000)"
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="the time in which they are sent (1)")
    parser.add_argument(
        "--every", type=float, default=1.5, metavar="SECONDS", help="mean time between two faults (1.5)"
    )
    parser.add_argument(
        "--within",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="all jobs must finish within this time after the faults (120)",
    )
    parser.add_argument("--faults", metavar="KINDS", help="inject only these kinds, separated by commas; or none")
    parser.add_argument("--transport", choices=TRANSPORTS, default=OWN, help="the transport of the workers (own)")
    parser.add_argument(
        "--broker", metavar="PROGRAM", help="start this program instead of Valkey, such as redis-server"
    )
    parser.add_argument(
        "--namespaces",
        action="store_true",
        help="a network namespace for each process; packets between them are cut off, lost, delayed (Linux, as root)",
    )
    parser.add_argument(
        "--retention",
        action="store_true",
        help="with a retention of messages: old months are dropped during the run, and triggers that old make none",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object, last on stdout; the rest to stderr",
    )
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep plans, journals and logs in this folder")
    given = parser.parse_args(arguments)
    possible = kinds_of(has_namespaces=given.namespaces)
    wanted = possible if given.faults is None else {kind for kind in given.faults.split(",") if kind != "none"}
    if unknown := wanted - FAULT_KINDS.keys():
        parser.error(f"unknown kind of fault: {', '.join(sorted(unknown))}")
    if impossible := wanted - possible:
        parser.error(f"only {'without' if given.namespaces else 'with'} --namespaces: {', '.join(sorted(impossible))}")
    if given.jobs < 1 or given.minutes <= 0 or given.every <= 0:
        parser.error("--jobs, --minutes and --every must be more than 0")
    broker = shutil.which(given.broker) if given.broker else None
    if given.broker and not broker:
        parser.error(f"program not found: {given.broker}")
    try:
        seeds = _seeds(given.seeds, given.seed) if given.seeds else ()
    except ValueError:
        parser.error(f"--seeds must be a number of seeds, or a range such as 1-20: {given.seeds}")
    return Arguments(
        seed=given.seed,
        seeds=seeds,
        keep_going=given.keep_going,
        jobs=given.jobs,
        seconds=given.minutes * 60,
        every=given.every,
        within=given.within,
        kinds=frozenset(wanted),
        transport=given.transport,
        broker=Path(broker) if broker else None,
        has_namespaces=given.namespaces,
        has_retention=given.retention,
        as_json=given.json,
        logs=given.logs,
    )


def _condition(kind: str) -> str:
    if kind in ONLY_WITH_NAMESPACES:
        return " (with --namespaces)"
    return " (without --namespaces)" if kind in ONLY_WITHOUT_NAMESPACES else ""


def _seeds(text: str, first: int) -> tuple[int, ...]:
    start, is_range, end = text.partition("-")
    seeds = range(int(start), int(end) + 1) if is_range else range(first, first + int(start))
    if not seeds:
        raise ValueError(text)
    return tuple(seeds)
