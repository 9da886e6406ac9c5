"""The command `./run bench`: from its arguments to its exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.bench import pages, peers, report
from benchmarks.bench.arguments import Arguments, parse
from benchmarks.bench.bench import Bench
from benchmarks.bench.contenders import Stalled
from benchmarks.bench.environment import Environment
from benchmarks.bench.experiments import EXPERIMENTS
from benchmarks.bench.experiments.single_jobs import PEER_KEY
from benchmarks.bench.machine import describe
from benchmarks.bench.results import Results
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from rollbook_ops.cli.signals import StopRequested, StopSignals, stop_on_signals
from rollbook_ops.devstack import ServerFailed

_err = Console(stderr=True)
_WIDE: Final = 150


def main(given: Sequence[str] | None = None) -> int:
    """Measure, report, and write if asked to. Return 0 if everything was measured, whatever the figures, else 1."""
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
    """Run the experiments for the keys."""
    wanted = [experiment for experiment in EXPERIMENTS if arguments.keys.intersection(experiment.keys)]
    with Environment() as environment, _progress() as (bar, task):

        def step(what: str) -> None:
            stopping.check()
            bar.update(task, advance=1, description=escape(what))

        bench = Bench(
            environment,
            arguments.scale,
            keys=arguments.keys,
            peers=peers.ensure(_say) if arguments.peers and arguments.keys & {PEER_KEY} else [],
            step=step,
        )
        try:
            contenders = dict.fromkeys(name for experiment in wanted for name in experiment.contenders(bench))
            bar.update(task, total=len(contenders) + sum(experiment.steps(bench) for experiment in wanted))
            for experiment in wanted:
                if experiment.contenders(bench):
                    bench.start(contenders)  # all at once: importing takes most of the time, and can use both cores
                experiment.run(bench)
        finally:
            bench.close()
        return Results(
            scale=arguments.scale,
            figures=[figure for figure in bench.figures if figure.key in arguments.keys],
            rates=bench.rates,
            machine=describe(environment.database_url, environment.broker_url),
        )


@contextmanager
def _progress() -> Iterator[tuple[Progress, TaskID]]:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    # Refreshed rarely: drawing takes time from what is measured.
    with Progress(*columns, console=_err, refresh_per_second=2, disable=not _err.is_terminal, transient=True) as bar:
        yield bar, bar.add_task("starting the servers", total=None)


def _wide(*, stderr: bool) -> Console:
    """As wide as the terminal, or wide enough for the tables if there is none."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_WIDE)


def _fail(error: Exception) -> None:
    _err.print(f"[bold red]bench:[/] {escape(str(error))}", highlight=False, soft_wrap=True)


def _say(line: str) -> None:
    _err.print(f"[dim]{escape(line)}[/]", highlight=False)
