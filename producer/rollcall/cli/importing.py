"""`rollcall import`: the users of a file, as bulk jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from rollcall import NotSent, Rollcall
from rollcall.cli.options import AsJson
from rollcall.cli.output import err, print_json, say
from rollcall.importing import (
    Format,
    Import,
    NotImportable,
    Options,
    Refusals,
    StateFile,
    fingerprint,
    import_users,
)
from rollcall_shared.settings import Settings
from rollcall_shared.stamps import moment

_ASK_AGAIN_SECONDS = 0.2
_INTERRUPTED = 130


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A .csv or .jsonl file.")],
    file_format: Annotated[
        Format | None, typer.Option("--format", help="By default, what the file's name says.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart/--continue", help="Forget an interrupted import of this file, or go on with it.")
    ] = False,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A CSV column that is text even where it looks like JSON."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep how far it has come in this folder, not beside the file.")
    ] = None,
    refused: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write what is refused there: .jsonl, or else CSV.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the workers have applied everything.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send the users of FILE as bulk jobs; users that exist are updated.

    CSV: the first line names the columns; `id` is required. Attributes (email, name, ...) are text as they stand. Any
    other column is a property: plain numbers, true, false, null, {...} and [...] are read as JSON, anything else is
    text (`007` is). An empty cell says nothing about its column. JSONL: a user a line, as the JSON object that
    `bulk_identify` takes.

    Interrupted, it goes on where it was when run again: what is sent twice changes nothing, for all jobs of one
    import are stamped with the moment it was first started. Run again after it is complete, it is a new import.

    Exit code 0: all lines were sent; 1: some were refused (the others were sent), or the broker is away; 2: wrong
    usage; 130: interrupted.
    """
    settings = Settings.from_env()
    settings.need_broker_url()
    if wait:
        settings.need_database_url()
    began = time.monotonic()
    try:
        options = Options(format=file_format or Format.of(file), text_columns=tuple(text or ()))
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
        keep = StateFile(file, state)
        start = _start(file, options, keep, restart, settings.limits.bulk_users)
        with Rollcall.from_env() as rollcall, Refusals(refused, append=start.offset > 0) as refusals:
            end = _send(rollcall, file, options, start, keep, refusals)
            dead = _wait(rollcall, end) if wait else 0
    except (NotImportable, OSError) as error:
        err.print(f"[bold red]rollcall:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from None
    except (KeyboardInterrupt, NotSent) as error:
        why = f"the broker does not take the jobs ({error.why})" if isinstance(error, NotSent) else "interrupted"
        err.print(f"{why}; run the same command again to go on", soft_wrap=True, highlight=False)
        raise typer.Exit(1 if isinstance(error, NotSent) else _INTERRUPTED) from None
    _report(end, refusals, refused, time.monotonic() - began, as_json)
    raise typer.Exit(1 if end.refused or dead else 0)


def _start(file: Path, options: Options, keep: StateFile, restart: bool, chunk_users: int) -> Import:
    """The import that was interrupted, or a new one."""
    content = fingerprint(file, options)
    new = Import(fingerprint=content, started=time.time_ns() // 1_000, chunk_users=chunk_users)
    kept = None if restart else keep.load()
    if kept is None:
        return new
    if kept.fingerprint != content:
        changed = f"{file.name}, or how it is to be read, has changed since its import was interrupted"
        raise NotImportable(f"{changed}; start anew with --restart")
    say(f"going on with the import started at {moment(kept.started):%Y-%m-%d %H:%M} UTC, after {kept.users} users")
    return kept


def _send(
    rollcall: Rollcall, file: Path, options: Options, start: Import, keep: StateFile, refusals: Refusals
) -> Import:
    with _progress("importing", file.stat().st_size, "users") as (bar, task):

        def advance(state: Import) -> None:
            seconds = bar.tasks[0].elapsed or 0
            rate = (state.users - start.users) / seconds if seconds else 0
            bar.update(task, completed=state.offset, count=state.users, rate=rate)

        advance(start)
        return import_users(
            rollcall.users.bulk_identify, file, options, start, keep=keep, refusals=refusals, advance=advance
        )


def _wait(rollcall: Rollcall, end: Import) -> int:
    """Wait until every job is decided; return how many did not go well."""
    bad = 0
    with _progress("applying", end.jobs, "jobs") as (bar, task):
        for number in range(end.jobs):
            while not (status := rollcall.jobs.get(end.job_id(number))).is_final:
                time.sleep(_ASK_AGAIN_SECONDS)
            bad += status.state != "applied"
            seconds = bar.tasks[0].elapsed or 0
            bar.update(task, completed=number + 1, count=number + 1, rate=(number + 1) / seconds if seconds else 0)
    return bad


@contextmanager
def _progress(doing: str, total: int, unit: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(f"{{task.fields[count]:,}} {unit}, {{task.fields[rate]:,.0f}}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=not err.is_terminal, disable=not err.is_terminal) as bar:
        yield bar, bar.add_task(doing, total=total, count=0, rate=0.0)


def _report(end: Import, refusals: Refusals, written: Path | None, seconds: float, as_json: bool) -> None:
    if refusals.first:
        table = Table("line", "field", "reason", title=f"{refusals.lines} lines were refused", title_justify="left")
        for refusal in refusals.first:
            table.add_row(str(refusal.line), escape(refusal.field), escape(refusal.reason))
        err.print(table)
        if refusals.lines > len({refusal.line for refusal in refusals.first}):
            err.print(f"[dim]all of them: {escape(str(written)) if written else 'with --refused FILE'}[/]")
    if as_json:
        summary = {"users": end.users, "refused": end.refused, "jobs": end.jobs, "seconds": round(seconds, 3)}
        first, last = (end.job_id(0), end.job_id(end.jobs - 1)) if end.jobs else (None, None)
        print_json({**summary, "first_job": first, "last_job": last})
    else:
        print(
            f"sent {end.users} users in {end.jobs} {'job' if end.jobs == 1 else 'jobs'},"
            f" refused {end.refused} {'line' if end.refused == 1 else 'lines'}, {seconds:.1f} s"
        )
