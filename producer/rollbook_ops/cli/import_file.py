"""`rollbook import`: sends the users of a file as bulk jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rollbook_ops.cli.command import AsJson, command
from rollbook_ops.file_format import FileFormat


def _existing_file(file: Path) -> Path:
    """Reject what is no file. Typer's own check would look for a file named -."""
    if str(file) != "-":
        if file.is_dir():
            raise typer.BadParameter(f"{str(file)!r} is a directory.")
        if not file.exists():
            raise typer.BadParameter(f"file {str(file)!r} does not exist.")
    return file


@command(
    examples=(
        "rollbook import users.csv --check",
        "rollbook import users.csv --wait",
        "rollbook import crm.csv --map 'Contact ID=id' --map Mail=email --skip-bad-fields --rejected bad.csv",
        "rollbook import users.jsonl --occurred-at 2026-01-31T00:00:00Z",
        "rollbook import knock-users.json --format knock --rejected rejected.jsonl",
        "gunzip -c segment-logs/*.gz | rollbook import - --format segment",
    ),
    exit_codes={
        0: "everything was sent, or can be",
        1: "some records were rejected or have invalid fields (the rest was sent), or the broker is not available",
        2: "wrong usage or settings, or the file cannot be read",
        130: "interrupted; run the same command again to continue",
    },
)
def import_file(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", callback=_existing_file, help="The file to import; - is stdin."),
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
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=NAME",
            help="A CSV column, or a key of JSON lines, that is this attribute or property. Can be repeated.",
        ),
    ] = None,
    strip: Annotated[bool, typer.Option("--strip", help="Remove blanks at both ends of ids and attributes.")] = False,
    skip_bad_fields: Annotated[
        bool,
        typer.Option("--skip-bad-fields", help="Send users without their invalid fields, instead of rejecting them."),
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check the file; send nothing.")] = False,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Import Segment's visitors without a userId as users, too.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Keep the state of the import in this folder, not next to the file."),
    ] = None,
    rejected: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Write rejected records to this file, to be corrected and imported: .csv for CSV, otherwise .jsonl.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the workers have applied everything.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send the users of FILE as bulk jobs. Users that exist are updated.

    `csv`: the first line names the columns; `id` is required. Attributes (email, name, ...) are text; `E-Mail` and
    `Phone Number` are attributes too. Any other column is a property: plain numbers, true, false, null, {...} and [...]
    are read as JSON, anything else is text (`007` is text). An empty cell does not change its column.

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
    again to start a new one. An import from a pipe cannot be continued.

    A file of rejected records keeps the time of each record, so importing it overwrites nothing newer.
    """
    from rollbook_ops.cli.import_run import run_import

    run_import(
        file,
        file_format=file_format,
        restart=restart,
        occurred_at=occurred_at,
        text=text or [],
        rename=rename or [],
        strip=strip,
        skip_bad_fields=skip_bad_fields,
        check=check,
        anonymous=anonymous,
        state=state,
        rejected=rejected,
        wait=wait,
        as_json=as_json,
    )
