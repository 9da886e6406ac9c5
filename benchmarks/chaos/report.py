"""What a run prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.chaos.run import Run
from benchmarks.chaos.verdict import Verdict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_NAMED: Final = 5


def show(run: Run, verdict: Verdict, console: Console) -> None:
    """For a person."""
    table = Table(show_header=False, title="Chaos", title_justify="left")
    stops = run.stopping_seconds
    rows = {
        "equal to the reference": "[green]yes[/]" if verdict.is_equal else "[bold red]no[/]",
        "jobs": f"{len(run.evidence.jobs):,}",
        "deliveries": f"{run.evidence.confirmed:,}",
        "further deliveries seen": f"{sum(found.duplicates for found in run.evidence.ledger.values()):,}",
        "lost": f"{len(verdict.lost):,}",
        "applied twice": f"{len(verdict.applied_twice):,}",
        "resurrected": f"{len(verdict.resurrected):,}",
        "dead": f"{len(run.evidence.dead):,}",
        "users, messages": f"{len(run.evidence.world['users']):,}, {len(run.evidence.world['messages']):,}",
        "faults": f"{run.faults.total():,}: "
        + ", ".join(f"{kind} {times}" for kind, times in sorted(run.faults.items())),
        "done after the faults": ", ".join(f"{seconds:.1f} s" for seconds in run.drains),
        "longest stop": f"{max(stops):.1f} s of {len(stops)}" if stops else "-",
        "seconds": f"{run.seconds:.1f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    for line in _wrong(run, verdict):
        console.print(escape(line), soft_wrap=True, highlight=False)


def figures(run: Run, verdict: Verdict) -> dict[str, Any]:
    """For a program; `found` is there if something is wrong, and says what."""
    found = {what: number for what, number in _found(run, verdict).items() if number}
    return {
        "equal": verdict.is_equal,
        "jobs": len(run.evidence.jobs),
        "deliveries": run.evidence.confirmed,
        "lost": len(verdict.lost),
        "applied_twice": len(verdict.applied_twice),
        "resurrected": len(verdict.resurrected),
        "dead": len(run.evidence.dead),
        "faults": dict(sorted(run.faults.items())),
        "seconds": round(run.seconds, 1),
        **({"found": found} if found else {}),
    }


def is_good(run: Run, verdict: Verdict) -> bool:
    """Whether all is equal, was done in time, and no process did what it should not."""
    return not any(_found(run, verdict).values())


def _found(run: Run, verdict: Verdict) -> dict[str, int]:
    return {
        "differs": int(verdict.difference is not None),
        "lost": len(verdict.lost),
        "lost deliveries": len(verdict.lost_again),
        "still waiting": len(verdict.waiting),
        "applied twice": len(verdict.applied_twice),
        "resurrected": len(verdict.resurrected),
        "not applied": len(verdict.undone),
        "never sent": len(verdict.strays),
        "not done in time": len(run.overdue),
        "processes ended": len(run.troubles),
    }


def _wrong(run: Run, verdict: Verdict) -> Iterator[str]:
    said = {
        "lost": verdict.lost,
        "of which a further delivery was lost": verdict.lost_again,
        "undecided, and still waiting": verdict.waiting,
        "applied twice": verdict.applied_twice,
        "decided, and not applied": verdict.undone,
        "decided, and never sent": verdict.strays,
    }
    for what, jobs in said.items():
        if jobs:
            yield f"{len(jobs)} jobs {what}, such as {', '.join(jobs[:_NAMED])}"
    if verdict.resurrected:
        yield f"{len(verdict.resurrected)} users resurrected, such as {', '.join(verdict.resurrected[:_NAMED])}"
    if run.evidence.dead:
        yield f"dead: {dict(list(run.evidence.dead.items())[:_NAMED])}"
    if verdict.difference:
        yield "the smallest difference (reference != Postgres):"
        yield verdict.difference.description
        yield "the jobs of that user, by their stamps:"
        yield from verdict.difference.jobs
    yield from run.overdue
    yield from run.troubles
