"""A progress bar on a terminal; prints nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rollbook_ops.cli.output import err

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressBar:
    """The progress of one task."""

    def __init__(self, progress: Progress, label: str, total: float | None, start: int) -> None:
        self._progress = progress
        self._start = start
        self._task = progress.add_task(label, total=total, count=start, rate=0.0)

    def update(self, count: int, completed: float | None = None) -> None:
        """Show that `count` are done. `completed` is the progress in the unit of the total, if that is another unit."""
        seconds = self._progress.tasks[self._task].elapsed or 0
        rate = (count - self._start) / seconds if seconds else 0
        self._progress.update(self._task, completed=count if completed is None else completed, count=count, rate=rate)


@contextmanager
def progress_bar(label: str, total: float | None, unit: str, *, start: int = 0) -> Iterator[ProgressBar]:
    """Show a bar until the block ends. Without a total it only counts. `start` were done by an earlier run."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(f"{{task.fields[count]:,}} {unit}, {{task.fields[rate]:,.0f}}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield ProgressBar(progress, label, total, start)
