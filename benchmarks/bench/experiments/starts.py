"""What it costs to start: importing the client, its first call, and the command line.

Processor time of whole processes, less that of a Python that does nothing. Each process has started before, so that its
modules are compiled; that once is what an image or an installer does.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.bench.baselines import celery_upsert
from benchmarks.bench.bench import Bench
from benchmarks.bench.experiments.race import in_any_order
from benchmarks.bench.figures import Figure

_IMPORT: Final = "from rollbook import Rollbook"
_FIRST_IDENTIFY: Final = (
    f"import sys; {_IMPORT};Rollbook(broker_url=sys.argv[1]).users.identify('ann', {{'plan': 'pro'}})"
)
_CELERY: Final = "from celery import Celery; Celery().task"
_FIRST_DELAY: Final = (
    f"import sys; from {celery_upsert.__name__} import TASK, celery_app;"
    "celery_app(sys.argv[1]).tasks[TASK].delay('ann', {'plan': 'pro'})"
)
_COMMANDS: Final = (("--help",), ("--version",), ("relay", "--help"))


class Starts:
    """In each round every program starts several times, in random order."""

    keys: ClassVar[tuple[str, ...]] = ("import_ms", "first_identify_ms", "cli_start_ms")

    def contenders(self, bench: Bench) -> Sequence[str]:
        return []

    def steps(self, bench: Bench) -> int:
        return 1 + bench.scale.rounds

    def run(self, bench: Bench) -> None:
        programs = _programs(bench.environment.new_broker())
        bench.step("starting every program once")
        for command in programs.values():
            _milliseconds(command)
        took: dict[str, list[float]] = {name: [] for name in programs}
        for round_ in range(rounds := bench.rounds()):
            bench.step(f"round {round_ + 1} of {rounds}: starting programs")
            starts: dict[str, list[float]] = {name: [] for name in programs}
            for name in in_any_order(list(programs) * bench.scale.starts):
                starts[name].append(_milliseconds(programs[name]))
            nothing = statistics.median(starts["nothing"])
            for name in programs:
                took[name].append(statistics.median(starts[name]) - nothing)
        commands = [" ".join(command) for command in _COMMANDS]
        slowest = max(commands, key=lambda name: statistics.median(took[name]))
        for key, ours, baseline, against in (
            ("import_ms", "import", "celery", "from celery import Celery"),
            ("first_identify_ms", "identify", "delay", "the first task.delay of stock Celery, with its imports"),
            ("cli_start_ms", slowest, "typer", "import typer, rich.console"),
        ):
            bench.record(
                Figure(
                    key=key,
                    value=statistics.median(took[ours]),
                    rounds=took[ours],
                    ours=statistics.median(took[ours]),
                    baseline=statistics.median(took[baseline]),
                    against=against,
                    unit="ms",
                    size={"starts": bench.scale.starts * rounds},
                )
            )


def _programs(broker_url: str) -> dict[str, list[str]]:
    program = str(Path(sys.executable).with_name("rollbook"))
    scripts = {
        "nothing": "pass",
        "import": _IMPORT,
        "celery": _CELERY,
        "identify": _FIRST_IDENTIFY,
        "delay": _FIRST_DELAY,
        "typer": "import typer, rich.console",
    }
    return {name: [sys.executable, "-c", script, broker_url] for name, script in scripts.items()} | {
        " ".join(command): [program, *command] for command in _COMMANDS
    }


def _milliseconds(command: Sequence[str]) -> float:
    """The processor time of the command, in which nothing else of this process' children may end."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1_000
