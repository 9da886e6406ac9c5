"""`rollbook import`: the users of a file, as bulk jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.client import opened
from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import AsJson
from rollbook_ops.cli.output import complain, counted, err, print_json, say, shown
from rollbook_ops.cli.progress import bar
from rollbook_ops.importers import (
    Format,
    Import,
    NotImportable,
    Options,
    RejectedRows,
    StateFile,
    fingerprint,
    import_users,
)
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.errors import NotSent
from rollbook_shared.jobs.json_values import printable
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook import Rollbook

_ASK_AGAIN_SECONDS = 0.2
_INTERRUPTED = 130
_AT = "--occurred-at"
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@taught(
    "rollbook import users.csv --wait",
    "rollbook import users.jsonl --occurred-at 2026-01-31T00:00:00Z",
    "rollbook import knock-users.json --format knock --rejected rejected.csv",
    "gunzip -c segment-logs/*.gz > log.jsonl",
    "rollbook import log.jsonl --format segment",
    exits={
        0: "all of it was sent",
        1: "some was rejected (the rest was sent), or the broker is away",
        2: "wrong usage or settings, or the file cannot be read",
        130: "interrupted; the same command goes on",
    },
)
def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="What to import.")
    ],
    file_format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="csv, jsonl, knock or segment; by default what the file's name says: .csv or .jsonl.",
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart/--continue", help="Forget an interrupted import of this file, or go on with it.")
    ] = False,
    occurred_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When FILE was made, such as 2026-01-31T09:30:00Z; by default now."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A CSV column that is text even where it looks like JSON; repeatable."),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Take Segment's visitors without a userId as users, too.")
    ] = False,
    state: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep how far it has come in this folder, not beside the file.")
    ] = None,
    rejected: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write what is rejected there: .jsonl, or else CSV.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the workers have applied everything.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send the users of FILE as bulk jobs; users that exist are updated.

    `csv`: the first line names the columns; `id` is required. Attributes (email, name, ...) are text as they stand.
    Any other column is a property: plain numbers, true, false, null, {...} and [...] are read as JSON, anything else
    is text (`007` is). An empty cell says nothing about its column.

    `jsonl`: a user a line, as the JSON object that `bulk_identify` takes.

    `knock`: pages of users as its API gives them out, with their preferences; bodies of bulk identify and of bulk
    preferences; users one by one, with `preferences` and `channel_data` where you have gathered them. A user was so
    at its `updated_at`.

    `segment`: calls a line, as in its logs, or batches of them. An identify happened at its `timestamp`; an alias is
    a merge; other calls are counted and skipped. With `--anonymous` an anonymousId is a user who becomes part of the
    userId it is named with.

    What is told with a time of its own never overwrites what is newer. All else was so at `--occurred-at`.

    Interrupted, it goes on where it was when run again: what is sent twice changes nothing. Run again after it is
    complete, it is a new import.
    """
    settings = Settings.from_env()
    settings.need_broker_url()
    if wait:
        settings.need_database_url()
    began = time.monotonic()
    try:
        options = Options(
            format=file_format or Format.of(file),
            text_columns=tuple(text or ()),
            anonymous=anonymous,
            occurred_at=None if occurred_at is None else _time(occurred_at, settings),
        )
        _check(options)
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
        keep = StateFile(file, state)
        start = _start(file, options, keep, restart, settings.limits.bulk_users)
    except (NotImportable, OSError) as error:
        complain(_reason(error))
        raise typer.Exit(2) from None
    try:
        with opened() as rollbook, RejectedRows(rejected, append=start.offset > 0) as rejected_rows:
            end = _send(rollbook, file, options, start, keep, rejected_rows)
            _say_refused(rejected_rows, rejected)
            undone = _wait(rollbook, end) if wait else 0
    except (NotImportable, OSError) as error:
        complain(_reason(error))
        raise typer.Exit(2) from None
    except NotSent as error:
        complain(f"the broker does not take the jobs ({error.reason}); run the same command again to go on")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        is_over = keep.load() is None
        complain("interrupted; everything was sent" if is_over else "interrupted; run the same command again to go on")
        raise typer.Exit(_INTERRUPTED) from None
    _report(end, undone, time.monotonic() - began, as_json)
    raise typer.Exit(1 if end.rejected or undone else 0)


def _time(text: str, settings: Settings) -> datetime:
    """The moment that `--occurred-at` names."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.utcoffset() is None:
        raise typer.BadParameter("must be a time with its offset, such as 2026-01-31T09:30:00Z", param_hint=_AT)
    if not _FIRST <= at <= datetime.now(UTC) + settings.limits.future:
        raise typer.BadParameter("must be neither before 1970 nor ahead of now", param_hint=_AT)
    return at


def _check(options: Options) -> None:
    """Options that would do nothing are mistakes."""
    if options.anonymous and options.format is not Format.SEGMENT:
        raise typer.BadParameter("is for --format segment only", param_hint="--anonymous")
    if options.text_columns and options.format is not Format.CSV:
        raise typer.BadParameter("is for --format csv only", param_hint="--text")


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
    sent = counted(kept.users, "user")
    say(f"going on with the import started at {datetime_of(kept.started):%Y-%m-%d %H:%M} UTC, after {sent}")
    return kept


def _send(
    rollbook: Rollbook, file: Path, options: Options, start: Import, keep: StateFile, rejected_rows: RejectedRows
) -> Import:
    with bar("importing", file.stat().st_size, "users", start=start.users) as shown:
        shown.advance(start.users, start.offset)
        return import_users(
            rollbook.users,
            file,
            options,
            start,
            keep=keep,
            rejected_rows=rejected_rows,
            advance=lambda now: shown.advance(now.users, now.offset),
        )


def _wait(rollbook: Rollbook, end: Import) -> int:
    """Wait until every job is decided; return how many did not go well."""
    undone = 0
    with bar("applying", end.jobs, "jobs") as shown:
        for number in range(end.jobs):
            while not (status := rollbook.jobs.get(end.job_id(number))).is_final:
                time.sleep(_ASK_AGAIN_SECONDS)
            undone += status.state != "applied"
            shown.advance(number + 1)
    return undone


def _say_refused(rejected_rows: RejectedRows, written: Path | None) -> None:
    if not rejected_rows.first:
        return
    table = Table(
        "line", "field", "reason", title=f"{counted(rejected_rows.records, 'record')} rejected", title_justify="left"
    )
    for refusal in rejected_rows.first:
        table.add_row(str(refusal.line), shown(refusal.field), shown(refusal.reason))
    err.print(table)
    if written is not None:
        say(f"all of them are in {written}")
    elif rejected_rows.is_cut:
        say("all of them: with --rejected FILE")


def _report(end: Import, undone: int, seconds: float, as_json: bool) -> None:
    if as_json:
        first, last = (end.job_id(0), end.job_id(end.jobs - 1)) if end.jobs else (None, None)
        print_json(
            {
                "users": end.users,
                "merges": end.merges,
                "rejected": end.rejected,
                "skipped": end.skipped,
                "left_out": end.left_out,
                "jobs": end.jobs,
                "not_applied": undone,
                "seconds": round(seconds, 3),
                "first_job": first,
                "last_job": last,
            }
        )
        return
    sent = counted(end.users, "user") + (f" and {counted(end.merges, 'merge')}" if end.merges else "")
    print(f"sent {sent} in {counted(end.jobs, 'job')}, rejected {counted(end.rejected, 'record')}, {seconds:.1f} s")
    _print_counts("skipped, for they tell of no user", end.skipped)
    _print_counts("left out, for they have no place here", end.left_out)
    if undone:
        print(f"{counted(undone, 'job')} were not applied as they stand; rollbook jobs dead lists them")


def _print_counts(what: str, counts: Mapping[str, int]) -> None:
    if counts:
        print(f"{what}: {', '.join(f'{printable(name)} {count:,}' for name, count in sorted(counts.items()))}")


def _reason(error: Exception) -> str:
    """An error of the system in words, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
