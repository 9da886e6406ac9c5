"""`rollbook import`: sends the users of a file as bulk jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.command import AsJson, client_from_env, command
from rollbook_ops.cli.output import err, escape_text, print_error, print_json, print_note
from rollbook_ops.cli.progress import progress_bar
from rollbook_ops.formatting import format_count
from rollbook_ops.importers import (
    Checkpoint,
    CheckpointFile,
    FileFormat,
    ImportOptions,
    NotImportable,
    RejectedRows,
    fingerprint,
    import_users,
)
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.errors import NotSent
from rollbook_shared.json_values import printable
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook import Rollbook

_POLL_SECONDS = 0.2
_INTERRUPTED = 130
_OCCURRED_AT = "--occurred-at"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@command(
    examples=(
        "rollbook import users.csv --wait",
        "rollbook import users.jsonl --occurred-at 2026-01-31T00:00:00Z",
        "rollbook import knock-users.json --format knock --rejected rejected.csv",
        "gunzip -c segment-logs/*.gz > log.jsonl",
        "rollbook import log.jsonl --format segment",
    ),
    exit_codes={
        0: "everything was sent",
        1: "some records were rejected (the others were sent), or the broker is not available",
        2: "wrong usage or settings, or the file cannot be read",
        130: "interrupted; run the same command again to continue",
    },
)
def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="The file to import.")
    ],
    file_format: Annotated[
        FileFormat | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="csv, jsonl, knock or segment. By default the file's name decides: .csv or .jsonl.",
        ),
    ] = None,
    restart: Annotated[
        bool,
        typer.Option("--restart/--continue", help="Start an interrupted import of this file again, or continue it."),
    ] = False,
    occurred_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When FILE was written, such as 2026-01-31T09:30:00Z. By default now."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A CSV column that is text even if it looks like JSON. Can be repeated."),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Import Segment's visitors without a userId as users, too.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Keep the state of the import in this folder, not next to the file."),
    ] = None,
    rejected: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the rejected records to this file, as .jsonl or otherwise as CSV."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the workers have applied everything.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send the users of FILE as bulk jobs. Users that exist are updated.

    `csv`: the first line names the columns; `id` is required. Attributes (email, name, ...) are text. Any other column
    is a property: plain numbers, true, false, null, {...} and [...] are read as JSON, anything else is text (`007` is
    text). An empty cell does not change its column.

    `jsonl`: one user a line, as the JSON object that `bulk_identify` accepts.

    `knock`: pages of users as Knock's API returns them, with their preferences; bodies of bulk identify and of bulk
    preferences; single users, with `preferences` and `channel_data` if you have collected them. The time of a user's
    values is its `updated_at`.

    `segment`: one call a line, as in Segment's logs, or batches of calls. An identify happened at its `timestamp`; an
    alias is a merge; other calls are counted and skipped. With `--anonymous` an anonymousId is a user that is merged
    into the userId it appears with.

    A record that has a time of its own never overwrites newer values. All other records have the time of
    `--occurred-at`.

    Run an interrupted import again to continue it: a job that is sent twice changes nothing. Run a complete import
    again to start a new one.
    """
    settings = Settings.from_env()
    settings.need_broker_url()
    if wait:
        settings.need_database_url()
    began = time.monotonic()
    try:
        options = ImportOptions(
            format=file_format or FileFormat.of(file),
            text_columns=tuple(text or ()),
            anonymous=anonymous,
            occurred_at=None if occurred_at is None else _parse_occurred_at(occurred_at, settings),
        )
        _check_options(options)
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
        checkpoint_file = CheckpointFile(file, state)
        start = _load_or_create(file, options, checkpoint_file, restart, settings.limits.max_bulk_users)
    except (NotImportable, OSError) as error:
        print_error(_error_text(error))
        raise typer.Exit(2) from None
    try:
        with client_from_env() as client, RejectedRows(rejected, append=start.offset > 0) as rejected_rows:
            end = _send(client, file, options, start, checkpoint_file, rejected_rows)
            _print_rejected(rejected_rows, rejected)
            not_applied = _wait_until_finished(client, end) if wait else 0
    except (NotImportable, OSError) as error:
        print_error(_error_text(error))
        raise typer.Exit(2) from None
    except NotSent as error:
        print_error(f"the broker did not accept the jobs ({error.reason}); run the same command again to continue")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        is_complete = checkpoint_file.load() is None
        print_error(
            "interrupted; everything was sent" if is_complete else "interrupted; run the same command again to continue"
        )
        raise typer.Exit(_INTERRUPTED) from None
    _print_report(end, not_applied, time.monotonic() - began, as_json)
    raise typer.Exit(1 if end.rejected or not_applied else 0)


def _parse_occurred_at(text: str, settings: Settings) -> datetime:
    try:
        time_given = datetime.fromisoformat(text)
    except ValueError:
        time_given = None
    if time_given is None or time_given.utcoffset() is None:
        raise typer.BadParameter(
            "must be a time with its offset, such as 2026-01-31T09:30:00Z", param_hint=_OCCURRED_AT
        )
    if not _EARLIEST <= time_given <= datetime.now(UTC) + settings.limits.max_clock_skew:
        raise typer.BadParameter("must be neither before 1970 nor ahead of now", param_hint=_OCCURRED_AT)
    return time_given


def _check_options(options: ImportOptions) -> None:
    """Reject options that would have no effect."""
    if options.anonymous and options.format is not FileFormat.SEGMENT:
        raise typer.BadParameter("is for --format segment only", param_hint="--anonymous")
    if options.text_columns and options.format is not FileFormat.CSV:
        raise typer.BadParameter("is for --format csv only", param_hint="--text")


def _load_or_create(
    file: Path, options: ImportOptions, checkpoint_file: CheckpointFile, restart: bool, chunk_users: int
) -> Checkpoint:
    """Return the checkpoint of an interrupted import of this file, or that of a new one."""
    content = fingerprint(file, options)
    new = Checkpoint(fingerprint=content, started=time.time_ns() // 1_000, chunk_users=chunk_users)
    saved = None if restart else checkpoint_file.load()
    if saved is None:
        return new
    if saved.fingerprint != content:
        changed = f"{file.name}, or an option that says how to read it, has changed since the import was interrupted"
        raise NotImportable(f"{changed}; start again with --restart")
    sent = format_count(saved.users, "user")
    print_note(f"continuing the import started at {datetime_of(saved.started):%Y-%m-%d %H:%M} UTC, after {sent}")
    return saved


def _send(
    client: Rollbook,
    file: Path,
    options: ImportOptions,
    start: Checkpoint,
    checkpoint_file: CheckpointFile,
    rejected_rows: RejectedRows,
) -> Checkpoint:
    with progress_bar("importing", file.stat().st_size, "users", start=start.users) as bar:
        bar.update(start.users, start.offset)
        return import_users(
            client.users,
            file,
            options,
            start,
            checkpoint_file=checkpoint_file,
            rejected_rows=rejected_rows,
            on_progress=lambda checkpoint: bar.update(checkpoint.users, checkpoint.offset),
        )


def _wait_until_finished(client: Rollbook, end: Checkpoint) -> int:
    """Wait until every job is finished; return how many were not applied."""
    not_applied = 0
    with progress_bar("applying", end.jobs, "jobs") as bar:
        for number in range(end.jobs):
            while not (status := client.jobs.get(end.job_id(number))).is_final:
                time.sleep(_POLL_SECONDS)
            not_applied += status.state != "applied"
            bar.update(number + 1)
    return not_applied


def _print_rejected(rejected_rows: RejectedRows, written_to: Path | None) -> None:
    if not rejected_rows.first:
        return
    title = f"{format_count(rejected_rows.records, 'record')} rejected"
    table = Table("line", "field", "reason", title=title, title_justify="left")
    for row in rejected_rows.first:
        table.add_row(str(row.line), escape_text(row.field), escape_text(row.reason))
    err.print(table)
    if written_to is not None:
        print_note(f"all rejected records are in {written_to}")
    elif rejected_rows.is_cut:
        print_note("use --rejected FILE to write all of them to a file")


def _print_report(end: Checkpoint, not_applied: int, seconds: float, as_json: bool) -> None:
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
                "not_applied": not_applied,
                "seconds": round(seconds, 3),
                "first_job": first,
                "last_job": last,
            }
        )
        return
    sent = format_count(end.users, "user") + (f" and {format_count(end.merges, 'merge')}" if end.merges else "")
    jobs, rejected = format_count(end.jobs, "job"), format_count(end.rejected, "record")
    print(f"sent {sent} in {jobs}, rejected {rejected}, {seconds:.1f} s")
    _print_counts("skipped records that are not about a user", end.skipped)
    _print_counts("fields left out, because Rollbook has no place for them", end.left_out)
    if not_applied:
        print(f"{format_count(not_applied, 'job')} could not be applied; `rollbook jobs dead` lists dead letters")


def _print_counts(title: str, counts: Mapping[str, int]) -> None:
    if counts:
        print(f"{title}: {', '.join(f'{printable(name)} {count:,}' for name, count in sorted(counts.items()))}")


def _error_text(error: Exception) -> str:
    """Return an error of the operating system without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
