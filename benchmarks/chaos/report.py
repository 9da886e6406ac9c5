"""The report of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.chaos.checker import CheckResult
from benchmarks.chaos.delivery_checker import lines_of
from benchmarks.chaos.run import Run
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_NAMED: Final = 5


def show(run: Run, result: CheckResult, console: Console) -> None:
    """Print the report."""
    table = Table(show_header=False, title="Chaos", title_justify="left")
    stops = run.stopping_seconds
    rows = {
        "equal to the reference": "[green]yes[/]" if result.is_equal else "[bold red]no[/]",
        "jobs": f"{len(run.history.jobs):,}",
        "deliveries": f"{run.history.confirmed:,}",
        "duplicate deliveries": f"{sum(found.duplicates for found in run.history.ledger.values()):,}",
        "lost": f"{len(result.lost):,}",
        "applied twice": f"{len(result.applied_twice):,}",
        "resurrected": f"{len(result.resurrected):,}",
        "dead": f"{len(run.history.dead):,}",
        "messages handed over": f"{result.messages.handed_over:,}, {result.messages.again:,} of them once more",
        "users, messages": f"{len(run.history.world['users']):,}, {len(run.history.world['messages']):,}",
        "faults": f"{run.faults.total():,}: "
        + ", ".join(f"{kind} {times}" for kind, times in sorted(run.faults.items())),
        "done after the last fault": ", ".join(f"{seconds:.1f} s" for seconds in run.recovery_seconds),
        "longest stop": f"{max(stops):.1f} s of {len(stops)}" if stops else "-",
        "seconds": f"{run.seconds:.1f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    for line in _wrong(run, result):
        console.print(escape(line), soft_wrap=True, highlight=False)


def figures(run: Run, result: CheckResult) -> dict[str, Any]:
    """The report as JSON values. `found` is there if something is wrong, and says what."""
    found = {what: number for what, number in _found(run, result).items() if number}
    return {
        "equal": result.is_equal,
        "jobs": len(run.history.jobs),
        "deliveries": run.history.confirmed,
        "lost": len(result.lost),
        "applied_twice": len(result.applied_twice),
        "resurrected": len(result.resurrected),
        "dead": len(run.history.dead),
        "handed_over": result.messages.handed_over,
        "handed_over_again": result.messages.again,
        "faults": dict(sorted(run.faults.items())),
        "seconds": round(run.seconds, 1),
        **({"found": found} if found else {}),
    }


def is_good(run: Run, result: CheckResult) -> bool:
    """Whether everything is equal, was done in time, and no process did what it should not."""
    return not any(_found(run, result).values())


def _found(run: Run, result: CheckResult) -> dict[str, int]:
    return {
        "differs": int(result.difference is not None),
        "lost": len(result.lost),
        "lost deliveries": len(result.lost_deliveries),
        "still waiting": len(result.unfinished),
        "applied twice": len(result.applied_twice),
        "resurrected": len(result.resurrected),
        "not applied": len(result.not_applied),
        "misjudged": len(result.misjudged),
        "never sent": len(result.unexpected),
        "not done in time": len(run.overdue),
        "processes ended": len(run.violations),
        **{what: len(ids) for what, ids in result.messages.found.items()},
    }


def _wrong(run: Run, result: CheckResult) -> Iterator[str]:
    lists = {
        "lost": result.lost,
        "with a lost duplicate delivery": result.lost_deliveries,
        "unfinished, and still waiting": result.unfinished,
        "applied twice": result.applied_twice,
        "finished, and not applied": result.not_applied,
        "too late for the retention, or said to be": result.misjudged,
        "finished, and never sent": result.unexpected,
    }
    for what, jobs in lists.items():
        if jobs:
            yield f"{len(jobs)} jobs {what}, such as {', '.join(jobs[:_NAMED])}"
    if result.resurrected:
        yield f"{len(result.resurrected)} users resurrected, such as {', '.join(result.resurrected[:_NAMED])}"
    if run.history.dead:
        yield f"dead: {dict(list(run.history.dead.items())[:_NAMED])}"
    if result.difference:
        yield "the smallest difference (reference != Postgres):"
        yield result.difference.description
        yield "the jobs of that user, by their stamps:"
        yield from result.difference.jobs
    yield from lines_of(result.messages, _NAMED)
    yield from run.overdue
    yield from run.violations
