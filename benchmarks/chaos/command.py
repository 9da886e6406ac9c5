"""The command `./run chaos`: from its arguments to its exit code."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.chaos import report
from benchmarks.chaos.arguments import OWN, Arguments, parse
from benchmarks.chaos.checker import check_history
from benchmarks.chaos.environment import Environment
from benchmarks.chaos.fault_kinds import HOME, PROMOTE
from benchmarks.chaos.faults import Fault
from benchmarks.chaos.namespaces import why_unavailable
from benchmarks.chaos.old_history import plan_old_history
from benchmarks.chaos.packet_network import PacketNetwork
from benchmarks.chaos.plan import Phase, make_plan
from benchmarks.chaos.run import Run, run
from benchmarks.chaos.series import Series
from benchmarks.chaos.supervisor import Supervisor
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from rollbook_ops.cli.signals import StopRequested, StopSignals, stop_on_signals
from rollbook_ops.devstack import ServerFailed

_err = Console(stderr=True)


def main(given: Sequence[str] | None = None) -> int:
    """Run, check and report. Return 0 if nothing is wrong, 2 if this machine cannot run it, else 1."""
    arguments = parse(sys.argv[1:] if given is None else given)
    if arguments.has_namespaces and (reason := why_unavailable()):
        _say(f"not run: {reason}")
        return 2
    series = Series()
    try:
        with stop_on_signals() as stopping:
            for seed in arguments.seeds or (arguments.seed,):
                _once(replace(arguments, seed=seed), series, stopping)
                if not (series.is_good or arguments.keep_going):
                    break
    except StopRequested as stopped:
        _say("stopped")
        return stopped.exit_code
    finally:
        if arguments.seeds:
            series.show(_console(arguments))
            if arguments.as_json:
                print(json.dumps(series.figures()), flush=True)
    return 0 if series.is_good else 1


def _once(arguments: Arguments, series: Series, stopping: StopSignals) -> None:
    """Run one seed. Keep its files if something is wrong."""
    if arguments.logs is None:
        folder = Path(tempfile.mkdtemp(prefix="rollbook-chaos-"))
    else:
        folder = arguments.logs / str(arguments.seed) if arguments.seeds else arguments.logs
        folder.mkdir(parents=True, exist_ok=True)
    good = False
    try:
        done = _run(arguments, folder, stopping)
        result = check_history(done.history)
        good = report.is_good(done, result)
        found = report.figures(done, result)
        report.show(done, result, _console(arguments))
        series.add(arguments.seed, found)
        if arguments.as_json and not arguments.seeds:
            print(json.dumps(found), flush=True)
    except ServerFailed as error:
        _err.print(f"[bold red]chaos:[/] {escape(str(error))}", highlight=False)
        series.add(arguments.seed, None)
    finally:
        if good and arguments.logs is None:
            shutil.rmtree(folder)
        else:
            _say(f"plans, journals and logs are in {folder}")


def _console(arguments: Arguments) -> Console:
    return Console(stderr=arguments.as_json, width=None if _err.is_terminal else 150)


def _run(arguments: Arguments, folder: Path, stopping: StopSignals) -> Run:
    broker = arguments.broker.name if arguments.broker else "Valkey"
    _say(
        f"seed {arguments.seed}: {arguments.jobs} jobs over {arguments.seconds:.0f} s, "
        f"{arguments.transport} transport on {broker}"
    )
    now = time.time_ns() // 1_000
    old = plan_old_history(now=now, seconds=arguments.seconds) if arguments.has_retention else None
    plan = partial(
        make_plan,
        seed=arguments.seed,
        jobs=arguments.jobs,
        seconds=arguments.seconds,
        kinds=arguments.kinds,
        every=arguments.every,
        late_before=old.late_before if old else None,
    )
    with (
        _packets(arguments) as packets,
        Environment(
            folder, arguments.broker, is_replicated=PROMOTE in arguments.kinds, packets=packets, old_history=old
        ) as environment,
        _show_progress(arguments.jobs, stopping) as monitor,
    ):
        transport = {} if arguments.transport == OWN else {"ROLLBOOK_TRANSPORT": arguments.transport}
        broker_url = environment.servers.broker_url
        supervisor = Supervisor(
            lambda name: environment.variables(name) | transport,
            broker_url,
            (environment.http_host, environment.http_port),
            folder,
            environment.place,
        )
        try:
            return run(environment, supervisor, lambda begin: plan(begin=begin), monitor, within=arguments.within)
        finally:
            supervisor.stop()
            environment.keep_logs()


@contextmanager
def _packets(arguments: Arguments) -> Iterator[PacketNetwork | None]:
    """The network between namespaces, if there is one. Within the block this process is in it too."""
    if not arguments.has_namespaces:
        yield None
        return
    with closing(PacketNetwork(HOME, arguments.seed)) as network, network.entered(HOME):
        yield network


class _ProgressMonitor:
    """Prints the faults as they happen, and below them the progress."""

    def __init__(self, progress: Progress, task: TaskID, stopping: StopSignals) -> None:
        self._progress = progress
        self._task = task
        self._faults = 0
        self.check = stopping.check

    def on_fault(self, phase: Phase, fault: Fault) -> None:
        self._faults += 1
        self._progress.update(self._task, faults=self._faults)
        self.log(f"{phase.name} {fault}")

    def log(self, line: str) -> None:
        self._progress.console.print(f"[dim]{escape(line)}[/]", highlight=False)

    def on_progress(self, finished: int) -> None:
        if finished:
            self._progress.update(self._task, completed=finished)


@contextmanager
def _show_progress(jobs: int, stopping: StopSignals) -> Iterator[_ProgressMonitor]:
    columns = (
        TextColumn("applying"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} jobs, {task.fields[faults]} faults"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_err, disable=not _err.is_terminal) as bar:
        yield _ProgressMonitor(bar, bar.add_task("", total=jobs, faults=0), stopping)


def _say(line: str) -> None:
    _err.print(f"[dim]{escape(line)}[/]", highlight=False)
