"""The run of `rollbook import`. A module of its own: help and other commands do not need the importers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rollbook_ops.cli.command import client_from_env
from rollbook_ops.cli.import_report import print_rejected, print_report
from rollbook_ops.cli.output import print_error, print_note
from rollbook_ops.cli.progress import progress_bar
from rollbook_ops.file_format import FileFormat
from rollbook_ops.formatting import format_count
from rollbook_ops.importers import (
    Checkpoint,
    CheckpointFile,
    ImportOptions,
    NoCheckpointFile,
    NotImportable,
    RejectedRows,
    check_file,
    check_rejected_path,
    copied_stream,
    fingerprint,
    import_users,
    locked,
)
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.errors import NotSent
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook import Rollbook

STDIN = Path("-")
_POLL_SECONDS = 0.2
_INTERRUPTED = 130
_OCCURRED_AT = "--occurred-at"
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def run_import(
    file: Path,
    *,
    file_format: FileFormat | None,
    restart: bool,
    occurred_at: str | None,
    text: list[str],
    rename: list[str],
    strip: bool,
    skip_bad_fields: bool,
    check: bool,
    anonymous: bool,
    state: Path | None,
    rejected: Path | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Import the file as the options of the command say, print a report, and exit."""
    settings = Settings.from_env()
    if check and wait:
        raise typer.BadParameter("sends nothing, so there is nothing to wait for", param_hint="--check")
    if not check:
        settings.need_broker_url()
    if wait:
        settings.need_database_url()
    began = time.monotonic()
    end: Checkpoint | None = None
    can_continue = True
    try:
        options = ImportOptions(
            format=file_format or FileFormat.of(file),
            text_columns=tuple(text),
            anonymous=anonymous,
            occurred_at=None if occurred_at is None else _parse_occurred_at(occurred_at, settings),
            renamed=_parse_renamed(rename),
            strip=strip,
            skip_bad_fields=skip_bad_fields,
        )
        _check_options(options, rejected)
        with _source(file, state, check=check) as (source, checkpoint_file):
            can_continue = not isinstance(checkpoint_file, NoCheckpointFile)
            if rejected is not None:
                check_rejected_path(rejected, source, checkpoint_file.path)
            for column, name in check_file(source, options).items():
                print_note(f"the column {column} is read as {name}")
            start = _load_or_create(source, options, checkpoint_file, restart, settings.limits.max_bulk_users)
            with (
                _client(settings, only_check=check) as client,
                RejectedRows(rejected, append=start.offset > 0, has_times=not check) as rejected_rows,
            ):
                end = _send(client, source, options, start, checkpoint_file, rejected_rows)
                print_rejected(rejected_rows, rejected)
                not_applied = _wait_until_finished(client, end) if wait else 0
    except (NotImportable, OSError) as error:
        print_error(_error_text(error))
        raise typer.Exit(2) from None
    except NotSent as error:
        print_error(f"the broker did not accept the jobs ({error.reason}); {_advice(can_continue)}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print_error(f"interrupted; {'everything was sent' if end is not None else _advice(can_continue)}")
        raise typer.Exit(_INTERRUPTED) from None
    seconds = time.monotonic() - began
    print_report(end, not_applied=not_applied, seconds=seconds, only_check=check, as_json=as_json)
    raise typer.Exit(1 if end.rejected or end.bad_fields or not_applied else 0)


@contextmanager
def _source(file: Path, state: Path | None, *, check: bool) -> Iterator[tuple[Path, CheckpointFile]]:
    """Yield the path to read from, and where the checkpoint is kept."""
    if file == STDIN or not file.is_file() or file.is_relative_to("/dev") or file.is_relative_to("/proc"):
        print_note("the import of a pipe cannot be continued if it is interrupted; reading all of it first")
        with copied_stream(file) as copy:
            yield copy, NoCheckpointFile(copy)
        return
    with locked(file):
        if state is not None and not check:
            state.mkdir(parents=True, exist_ok=True)
        yield file, NoCheckpointFile(file) if check else CheckpointFile(file, state)


def _client(settings: Settings, *, only_check: bool) -> Rollbook:
    if not only_check:
        return client_from_env()
    from rollbook import Rollbook
    from rollbook.publishing.null import DiscardingPublisher

    return Rollbook(publisher=DiscardingPublisher(), limits=settings.limits)


def _parse_renamed(given: list[str]) -> dict[str, str]:
    renamed = {}
    for text in given:
        column, separator, name = text.rpartition("=")
        if not (separator and column.strip() and name.strip()):
            raise typer.BadParameter(f"must be COLUMN=NAME, and not {text!r}", param_hint="--map")
        renamed[column.strip()] = name.strip()
    return renamed


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


def _check_options(options: ImportOptions, rejected: Path | None) -> None:
    """Reject options that would have no effect, or another one than their name says."""
    if options.anonymous and options.format is not FileFormat.SEGMENT:
        raise typer.BadParameter("is for --format segment only", param_hint="--anonymous")
    if options.text_columns and options.format is not FileFormat.CSV:
        raise typer.BadParameter("is for --format csv only", param_hint="--text")
    if options.renamed and options.format not in (FileFormat.CSV, FileFormat.JSONL):
        raise typer.BadParameter("is for --format csv and jsonl only", param_hint="--map")
    if rejected is not None and (rejected.suffix == ".csv") != (options.format is FileFormat.CSV):
        suffix = ".csv" if options.format is FileFormat.CSV else ".jsonl"
        raise typer.BadParameter(f"must end in {suffix}: it is written as FILE is read", param_hint="--rejected")


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


def _advice(can_continue: bool) -> str:
    return "run the same command again to continue" if can_continue else "a pipe cannot be continued; import it again"


def _error_text(error: Exception) -> str:
    """Return an error of the operating system without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
