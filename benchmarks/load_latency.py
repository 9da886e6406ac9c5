"""How long an `identify` takes until a reader sees the user, by how busy the workers are, and who uses the cores then.

    ./run python -m benchmarks.load_latency [--shares 0,10,25,50,75] [--workers 2] [--seconds 5] [--rounds 3] [--json]

First the workers apply what waits for them, as fast as they can: that rate is 100. Then probes are sent one after the
other, as `p50_ms` of `./run bench` does it, while other jobs arrive at a share of that rate. The output has the 50th
and the 99th percentile of all probes of a share, and how many cores each part used, medians of the rounds. Where their
sum comes near to the number of cores, jobs wait for a core and not for a batch.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from time import monotonic, process_time
from typing import Final

from benchmarks.bench.contenders.rollbook import RollbookSingle
from benchmarks.bench.drain import drain
from benchmarks.bench.environment import Environment
from benchmarks.bench.experiments.latency import probe
from benchmarks.bench.figures import percentile
from benchmarks.bench.users import make_users
from benchmarks.worker_scaling import processor_seconds
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers

KNOWN: Final = 10_000
"""Users in the table at the start."""
_WARM_UP: Final = 2_000
_DRAINED: Final = 15_000
_DRAINS: Final = 3

Figures = dict[str, float]


def main() -> None:
    """Measure, and print a row for each share."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load_latency", description=__doc__.splitlines()[0])
    parser.add_argument("--shares", default="0,10,25,50,75", help="percents of the workers' own rate (0,10,25,50,75)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (2)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (5)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each share (3)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    given = parser.parse_args()
    shares = [float(share) for share in given.shares.split(",")]
    with Servers(durable=True, append_only=True) as servers, Environment(servers) as environment:
        found = measure(servers, environment, shares, given.workers, given.seconds, given.rounds, drained=_DRAINED)
    print(json.dumps(found)) if given.json else _show(found)


def measure(
    servers: Servers,
    environment: Environment,
    shares: Sequence[float],
    workers: int,
    seconds: float,
    rounds: int,
    *,
    drained: int,
) -> dict[float, Figures]:
    """Share -> its figures: jobs a second, milliseconds, and cores by process.

    drained: how many jobs show the workers' own rate.
    """
    with closing(RollbookSingle(environment, "loaded", known=KNOWN, workers=workers)) as contender:
        contender.start()
        contender.wait_until_ready()
        drain(contender, make_users(min(_WARM_UP, drained), known=KNOWN))
        users = [make_users(drained, known=KNOWN) for _ in range(_DRAINS)]
        own = statistics.median(drain(contender, each).rate for each in users)
        pids = [process.pid for process in contender.processes.values()]
        parts: dict[str, Callable[[], float]] = {
            "workers": partial(processor_seconds, pids),
            "Postgres": partial(processor_seconds, [servers.postgres.pid]),
            "Valkey": partial(processor_seconds, [servers.valkey.pid]),
            "sender and reader": process_time,
        }
        took: dict[float, list[float]] = {share: [] for share in shares}
        cores: dict[float, list[Figures]] = {share: [] for share in shares}
        for _ in range(rounds):
            for share in shares:
                used: Figures = {}
                took[share] += probe(contender, seconds, own * share / 100, meanwhile=_counted(parts, used))
                cores[share].append(used)
    return {
        share: {
            "jobs a second": own * share / 100,
            "50th percentile": percentile(took[share], 0.5),
            "99th percentile": percentile(took[share], 0.99),
            **{part: statistics.median(each[part] for each in cores[share]) for part in parts},
        }
        for share in shares
    }


@contextmanager
def _counted(parts: Mapping[str, Callable[[], float]], used: Figures) -> Iterator[None]:
    """Add to `used` how many cores each part uses meanwhile. `parts`: the processor time of each so far."""
    begin, before = monotonic(), {part: seconds() for part, seconds in parts.items()}
    yield
    elapsed = monotonic() - begin
    used.update((part, (seconds() - before[part]) / elapsed) for part, seconds in parts.items())


def _show(found: Mapping[float, Figures]) -> None:
    figures = next(iter(found.values()))
    table = Table("% of the rate", *figures, "cores together", title="milliseconds, and cores")
    for share, row in found.items():
        jobs, p50, p99, *cores = row.values()
        parts = [f"{each:.2f}" for each in (*cores, sum(cores))]
        table.add_row(f"{share:g}", f"{jobs:,.0f}", f"{p50:.1f}", f"{p99:.1f}", *parts)
    Console().print(table)


if __name__ == "__main__":
    main()
