"""The command line of the chaos run."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.chaos.kinds import KINDS

OWN: Final = "own"
TRANSPORTS: Final = (OWN, "stock")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """What was asked for."""

    seed: int
    seeds: tuple[int, ...]
    """To be run one after the other; none for `seed` alone."""
    keep_going: bool
    jobs: int
    seconds: float
    every: float
    within: float
    kinds: frozenset[str]
    transport: str
    broker: Path | None
    """The program to start as broker; None: Valkey."""
    as_json: bool
    logs: Path | None


def parse(arguments: Sequence[str]) -> Arguments:
    """Read the command line; ends the program with a message when it cannot be used."""
    kinds = "\n".join(f"  {name:15} {kind.says}" for name, kind in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="./run chaos",
        description="Send random jobs through real workers while everything is killed, cut and restarted, and hold all "
        "that Postgres shows at the end against a plain reference. Starts its own servers. Exit code 1 unless equal.",
        epilog=f"kinds of faults:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same jobs and faults (1)")
    parser.add_argument(
        "--seeds", metavar="N|A-B", help="so many seeds from --seed on, or these, one after the other, and their sum"
    )
    parser.add_argument("--keep-going", action="store_true", help="with --seeds: do not end at the first that fails")
    parser.add_argument("--jobs", type=int, default=10_000, help="distinct jobs, each sent 1.5 times (10,000)")
    parser.add_argument("--minutes", type=float, default=1.0, help="time over which they are sent (1)")
    parser.add_argument("--every", type=float, default=1.5, metavar="SECONDS", help="between two faults (1.5)")
    parser.add_argument(
        "--within", type=float, default=120.0, metavar="SECONDS", help="after the faults all must be done (120)"
    )
    parser.add_argument("--faults", metavar="KINDS", help="only these, with commas; or none")
    parser.add_argument("--transport", choices=TRANSPORTS, default=OWN, help="how workers take jobs from Valkey")
    parser.add_argument("--broker", metavar="PROGRAM", help="start this one in Valkey's place, such as redis-server")
    parser.add_argument("--json", action="store_true", help="one JSON object, last on stdout; the rest to stderr")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep plans, journals and logs here")
    given = parser.parse_args(arguments)
    wanted = set(KINDS) if given.faults is None else {kind for kind in given.faults.split(",") if kind != "none"}
    if unknown := wanted - set(KINDS):
        parser.error(f"no such kind of fault: {', '.join(sorted(unknown))}")
    if given.jobs < 1 or given.minutes <= 0 or given.every <= 0:
        parser.error("jobs, minutes and seconds must be more than 0")
    broker = shutil.which(given.broker) if given.broker else None
    if given.broker and not broker:
        parser.error(f"there is no such program: {given.broker}")
    try:
        seeds = _seeds(given.seeds, given.seed) if given.seeds else ()
    except ValueError:
        parser.error(f"seeds are a number of them, or a first and a last such as 1-20: {given.seeds}")
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
        as_json=given.json,
        logs=given.logs,
    )


def _seeds(said: str, first: int) -> tuple[int, ...]:
    start, is_range, end = said.partition("-")
    seeds = range(int(start), int(end) + 1) if is_range else range(first, first + int(start))
    if not seeds:
        raise ValueError(said)
    return tuple(seeds)
