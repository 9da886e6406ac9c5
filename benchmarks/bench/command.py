"""`./run bench` from its arguments to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.bench import pages, peers, report
from benchmarks.bench.arguments import Arguments, parse
from benchmarks.bench.bench import Bench
from benchmarks.bench.experiments import EXPERIMENTS
from benchmarks.bench.experiments.singles import PEER_KEY
from benchmarks.bench.ground import Ground
from benchmarks.bench.machine import describe
from benchmarks.bench.results import Results
from benchmarks.bench.sides import Stalled
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from rollbook_ops.cli.signals import StopRequested, StopSignals, stop_on_signals
from rollbook_ops.devstack import ServerFailed

_err = Console(stderr=True)
_WIDE: Final = 150


def main(given: Sequence[str] | None = None) -> int:
    """Measure, show, and write if asked to. 0: measured, whatever the figures are; 1: it could not be."""
    arguments = parse(sys.argv[1:] if given is None else given)
    try:
        with stop_on_signals() as stopping:
            results = measure(arguments, stopping)
    except StopRequested as stopped:
        _say("stopped")
        return stopped.exit_code
    except (Stalled, ServerFailed) as error:
        _fail(error)
        return 1
    report.show(results, _wide(stderr=arguments.as_json))
    is_written = not arguments.write or _write(results)
    if arguments.as_json:
        print(results.to_json(), flush=True)
    return 0 if is_written else 1


def _write(results: Results) -> bool:
    try:
        pages.write(results)
    except pages.MarkersMissing as error:
        _fail(error)
        return False
    return True


def measure(arguments: Arguments, stopping: StopSignals) -> Results:
    """Run the experiments that the wanted keys need."""
    wanted = [experiment for experiment in EXPERIMENTS if arguments.keys.intersection(experiment.keys)]
    with Ground() as ground, _progress() as (bar, task):

        def step(what: str) -> None:
            stopping.check()
            bar.update(task, advance=1, description=escape(what))

        bench = Bench(
            ground,
            arguments.scale,
            keys=arguments.keys,
            peers=peers.ensure(_say) if arguments.peers and arguments.keys & {PEER_KEY} else [],
            step=step,
        )
        try:
            sides = dict.fromkeys(name for experiment in wanted for name in experiment.sides(bench))
            bar.update(task, total=len(sides) + sum(experiment.steps(bench) for experiment in wanted))
            for experiment in wanted:
                if experiment.sides(bench):
                    bench.start(sides)  # all at once: importing is what takes its time, and both cores can do it
                experiment.run(bench)
        finally:
            bench.close()
        return Results(
            scale=arguments.scale,
            figures=[figure for figure in bench.figures if figure.key in arguments.keys],
            rates=bench.rates,
            machine=describe(ground.database_url, ground.broker_url),
        )


@contextmanager
def _progress() -> Iterator[tuple[Progress, TaskID]]:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    # Drawn seldom: drawing takes time from what is measured.
    with Progress(*columns, console=_err, refresh_per_second=2, disable=not _err.is_terminal, transient=True) as bar:
        yield bar, bar.add_task("starting the servers", total=None)


def _wide(*, stderr: bool) -> Console:
    """As wide as the terminal; wide enough for the tables where there is none."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_WIDE)


def _fail(error: Exception) -> None:
    _err.print(f"[bold red]bench:[/] {escape(str(error))}", highlight=False, soft_wrap=True)


def _say(line: str) -> None:
    _err.print(f"[dim]{escape(line)}[/]", highlight=False)
