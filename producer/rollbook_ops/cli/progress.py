"""A bar for what takes long, on a terminal; elsewhere nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rollbook_ops.cli.output import err

if TYPE_CHECKING:
    from rich.progress import Progress


class Bar:
    """How far something has come."""

    def __init__(self, progress: Progress, doing: str, total: float | None, start: int) -> None:
        self._progress = progress
        self._start = start
        self._task = progress.add_task(doing, total=total, count=start, rate=0.0)

    def advance(self, count: int, done: float | None = None) -> None:
        """Show that `count` are done; `done` tells it in the unit of the total, where that is another."""
        seconds = self._progress.tasks[self._task].elapsed or 0
        rate = (count - self._start) / seconds if seconds else 0
        self._progress.update(self._task, completed=count if done is None else done, count=count, rate=rate)


@contextmanager
def bar(doing: str, total: float | None, unit: str, *, start: int = 0) -> Iterator[Bar]:
    """A bar until the block ends; without a total it only counts. `start` were done before."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(f"{{task.fields[count]:,}} {unit}, {{task.fields[rate]:,.0f}}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield Bar(progress, doing, total, start)
