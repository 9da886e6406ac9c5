"""What `rollbook import` prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from rollbook_ops.cli.output import err, escape_text, print_json, print_note
from rollbook_ops.formatting import format_count
from rollbook_ops.importers import Checkpoint, RejectedRows
from rollbook_shared.json_values import printable


def print_rejected(rejected_rows: RejectedRows, written_to: Path | None) -> None:
    if not rejected_rows.first:
        return
    count = rejected_rows.records
    title = f"{format_count(count, 'record')} rejected" if count else "invalid fields left out"
    table = Table("line", "field", "reason", title=title, title_justify="left")
    for row in rejected_rows.first:
        table.add_row(str(row.line), escape_text(row.field), escape_text(row.reason))
    err.print(table)
    if written_to is not None:
        print_note(f"all of them are in {written_to}; correct them there and import that file")
    elif rejected_rows.is_cut:
        print_note("use --rejected FILE to write all of them to a file, which you can correct and import")


def print_report(end: Checkpoint, *, not_applied: int, seconds: float, only_check: bool, as_json: bool) -> None:
    """Print what was sent, or what would be."""
    if as_json:
        first, last = (end.job_id(0), end.job_id(end.jobs - 1)) if end.jobs and not only_check else (None, None)
        print_json(
            {
                "users": end.users,
                "merges": end.merges,
                "rejected": end.rejected,
                "bad_fields": end.bad_fields,
                "skipped": end.skipped,
                "left_out": end.left_out,
                "warnings": end.warnings,
                "jobs": 0 if only_check else end.jobs,
                "not_applied": not_applied,
                "seconds": round(seconds, 3),
                "first_job": first,
                "last_job": last,
            }
        )
        return
    sent = format_count(end.users, "user") + (f" and {format_count(end.merges, 'merge')}" if end.merges else "")
    jobs, rejected = format_count(end.jobs, "job"), format_count(end.rejected, "record")
    if only_check:
        print(f"checked; {sent} can be sent, rejected {rejected}; nothing was sent")
    else:
        print(f"sent {sent} in {jobs}, rejected {rejected}, {seconds:.1f} s")
    if end.bad_fields:
        were_sent = "can be sent" if only_check else "were sent"
        print(f"{format_count(end.bad_fields, 'invalid field')} left out of users that {were_sent}")
    _print_counts("skipped records that are not about a user", end.skipped)
    _print_counts("fields left out, because Rollbook has no place for them", end.left_out)
    _print_counts("warnings", end.warnings)
    if not_applied:
        print(f"{format_count(not_applied, 'job')} could not be applied; `rollbook jobs dead` lists dead letters")


def _print_counts(title: str, counts: Mapping[str, int]) -> None:
    if counts:
        print(f"{title}: {', '.join(f'{printable(name)} {count:,}' for name, count in sorted(counts.items()))}")
