"""What each operation costs, along a curve.

    python -m benchmarks.curves users|ids|bytes [--points 10000,100000,1000000] [--rounds 5] [--only identify,feed]
        [--json]

`users`: so many users in the table, each with a message and an activity. `ids`: all users are of so many ids, merged
into one. `bytes`: all users have properties of so many bytes. At each point the store applies jobs as a worker does,
and a client reads, in this process, in turns and in random order. The output has microseconds of processor time for a
unit, of the worker's store or the client, and of its server process in Postgres: medians of rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from benchmarks.curves.measurement import Cost, measure
from benchmarks.curves.operations import OPERATIONS
from benchmarks.curves.points import CURVES
from rich.console import Console
from rich.table import Table

from rollbook_ops.devstack import Servers


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("curve", choices=list(CURVES), help="what grows")
    parser.add_argument("--points", help="numbers, ascending (those of the documentation)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds at each point, whose median counts (5)")
    parser.add_argument("--only", default=",".join(OPERATIONS), help="operations, separated by commas (all)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args(given)
    curve = CURVES[arguments.curve]
    numbers = [int(number) for number in arguments.points.split(",")] if arguments.points else curve.numbers
    operations = {name: OPERATIONS[name] for name in arguments.only.split(",")}
    with Servers(durable=True) as servers, ExitStack() as stack:
        points = {number: stack.enter_context(curve.point(servers, number)) for number in numbers}
        found = measure(points, operations, arguments.rounds)
    if arguments.json:
        plain = {number: {name: vars(cost) for name, cost in costs.items()} for number, costs in found.items()}
        print(json.dumps(plain))
    else:
        _show(curve.title, found)
    return 0


def _show(title: str, found: Mapping[int, Mapping[str, Cost]]) -> None:
    table = Table(title, *(f"{number:,}" for number in found), title="us of processor time: ours + Postgres")
    for name, operation in OPERATIONS.items():
        if name in next(iter(found.values())):
            costs = [costs[name] for costs in found.values()]
            cells = (f"{cost.ours_us:,.0f} + {cost.postgres_us:,.0f}" for cost in costs)
            table.add_row(f"{name}, {operation.unit}", *cells)
    console = Console()
    console.width = max(console.width, 140)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
