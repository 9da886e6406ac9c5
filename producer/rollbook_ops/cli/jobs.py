"""`rollbook jobs`: the status of jobs, deferred jobs, and dead letters."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from rollbook_ops.cli.command import After, AsJson, Limit, client_from_env, command
from rollbook_ops.cli.output import (
    fields_table,
    format_cell,
    out,
    print_error,
    print_json,
    print_next_page,
    print_note,
    print_table,
    spinner,
)
from rollbook_shared.json_values import printable

if TYPE_CHECKING:
    from rollbook import DeadLetter, JobStatus

JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id.")]
Key = Annotated[str | None, typer.Option(help="The key of the dead letter, where several have the same job id.")]
Timeout = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait until it is finished.")]


class State(StrEnum):
    """The states of jobs that workers have received."""

    APPLIED = "applied"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    CANCELLED = "cancelled"
    DEAD = "dead"


_FAILED_STATES: Final = ("rejected", "cancelled", "dead")


@command(
    examples=("rollbook jobs get billing-event-1017", "rollbook jobs get billing-event-1017 --json | jq -r .state"),
    exit_codes={1: "it was rejected or cancelled, or it is dead"},
)
def get(job_id: JobId, as_json: AsJson = False) -> None:
    """Show the status of a job.

    A job is `queued` until a worker has handled it. An id that was never sent is shown as `queued` too.
    """
    with client_from_env() as client:
        status = client.jobs.get(job_id)
    if status.state == "queued":
        print_note("no worker has handled a job with this id: it waits, or it was never sent")
    _report_status(status, as_json)


@command(
    examples=("rollbook jobs wait billing-event-1017 --timeout 60",),
    exit_codes={1: "it was not finished in time, was rejected or cancelled, or is dead"},
)
def wait(job_id: JobId, timeout: Timeout = 10.0, as_json: AsJson = False) -> None:
    """Wait until the workers have finished a job, and show its status."""
    from rollbook import JobTimeout

    with client_from_env() as client, spinner("waiting for a worker"):
        try:
            status, is_late = client.jobs.wait(job_id, timeout), False
        except JobTimeout as error:
            status, is_late = error.status, True
    if is_late:
        print_error(f"job {job_id} is still {status.state} after {timeout:g} s")
    _report_status(status, as_json, is_late=is_late)


@command(
    examples=(
        "rollbook jobs list",
        "rollbook jobs list --state rejected --since 2026-11-01T00:00:00Z",
        "rollbook jobs list --user-id ann --kind trigger",
        "rollbook jobs list --user-id ann --state dead",
    ),
    exit_codes={1: "the database is not available"},
)
def list_jobs(
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only jobs of this kind: identify, trigger and so on.")] = None,
    user_id: Annotated[
        str | None, typer.Option("--user-id", metavar="USER_ID", help="Only jobs that say something of this user.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only jobs from this RFC 3339 time on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only jobs up to this RFC 3339 time.")] = None,
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List the recent jobs that workers have received, the newest first.

    Jobs are sorted by when they were finished; those of a user by when they happened, in whatever state they are.
    Applied jobs of a user are found by what they left.
    """
    with client_from_env() as client:
        page = client.jobs.list(
            state=None if state is None else state.value,
            kind=kind,
            user_id=user_id,
            since=_time(since, "--since"),
            until=_time(until, "--until"),
            limit=limit,
            after=after,
        )
    if as_json:
        print_json({"items": [asdict(status) for status in page.items], "after": page.after})
        return
    table = Table("id", "kind", "state", "code", "finished at")
    for job in page.items:
        table.add_row(*map(format_cell, (job.id, job.kind, job.state, job.code, job.finished_at)))
    print_table(table, "no jobs")
    print_next_page(page.after)


@command(
    examples=("rollbook jobs deferred", "rollbook jobs deferred --json | jq -r '.items[].id'"),
    exit_codes={1: "the database is not available"},
)
def deferred(limit: Limit = 50, after: After = None, as_json: AsJson = False) -> None:
    """List the deferred jobs, in the order in which they are due."""
    with client_from_env() as client:
        page = client.jobs.list_deferred(limit=limit, after=after)
    if as_json:
        print_json({"items": [asdict(job) for job in page.items], "after": page.after})
        return
    table = Table("id", "kind", "due at")
    for job in page.items:
        table.add_row(*map(format_cell, (job.id, job.kind, job.due_at)))
    print_table(table, "no deferred jobs")
    print_next_page(page.after)


@command(
    examples=("rollbook jobs cancel welcome-ann",),
    exit_codes={1: "it is too late to cancel the job, or there is no such job"},
)
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Cancel a deferred job, so that it never takes effect."""
    with client_from_env() as client:
        cancelled = client.jobs.cancel(job_id)
        state = client.jobs.get(job_id).state
    if as_json:
        print_json({"id": job_id, "cancelled": cancelled, "state": state})
    elif cancelled:
        out.print(f"cancelled; job {job_id}", highlight=False, soft_wrap=True)
    else:
        print_error(f"not cancelled; job {job_id} is {state}")
    raise typer.Exit(0 if cancelled else 1)


@command(
    examples=(
        "rollbook jobs dead",
        "rollbook jobs dead --limit 1000 --json | jq -r '.items[].code' | sort | uniq -c",
    ),
    exit_codes={1: "the database is not available"},
)
def dead(limit: Limit = 50, after: After = None, as_json: AsJson = False) -> None:
    """List the dead letters, newest first: jobs that cannot be applied as they are."""
    with client_from_env() as client:
        page = client.jobs.list_dead_letters(limit=limit, after=after)
    if as_json:
        print_json({"items": [_without_body(dead_letter) for dead_letter in page.items], "after": page.after})
        return
    table = Table("id", "kind", "code", "reason", "failed at")
    for each in page.items:
        table.add_row(*map(format_cell, (each.id, each.kind, each.code, each.reason, each.failed_at)))
    print_table(table, "no dead letters")
    print_next_page(page.after)


@command(
    examples=(
        "rollbook jobs show billing-event-1017",
        "rollbook jobs show billing-event-1017 --json | jq -r .body > corrected.json",
    ),
    exit_codes={1: "no dead letter has this id"},
)
def show(job_id: JobId, key: Key = None, as_json: AsJson = False) -> None:
    """Show a dead letter with its body: the job as it was received. The body may hold personal data."""
    with client_from_env() as client:
        dead_letter = client.jobs.get_dead_letter(job_id, key=key)
    if as_json:
        print_json(asdict(dead_letter))
        return
    out.print(fields_table("Dead letter", _without_body(dead_letter)))
    # Unchanged when piped into a file, to be corrected and given to `replay --body`; escaped on a terminal.
    lines = (dead_letter.body or "").split("\n")
    print(*(map(printable, lines) if out.is_terminal else lines), sep="\n")


@command(
    examples=(
        "rollbook jobs replay billing-event-1017",
        "rollbook jobs replay billing-event-1017 --body corrected.json",
        "rollbook jobs replay billing-event-1017 --job-id billing-event-1017b",
    ),
    exit_codes={1: "it was rejected, is dead again or not finished in time, or there is no such dead letter"},
)
def replay(
    job_id: JobId,
    new_id: Annotated[str | None, typer.Option("--job-id", help="Send it under this id instead.")] = None,
    body: Annotated[
        Path | None, typer.Option(help="A file with the corrected job as JSON; - reads standard input.")
    ] = None,
    key: Key = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Send a dead letter again, after a fix; drop it once the workers have finished the job.

    A dead letter with the code `id_reused` needs a new `--job-id`. `rollbook jobs show` prints the body to correct.
    """
    corrected = None if body is None else _read(body)
    with client_from_env() as client, spinner("waiting for a worker"):
        status = client.jobs.replay(job_id, job_id=new_id, body=corrected, key=key, timeout=timeout)
    _report_status(status, as_json)


@command(examples=("rollbook jobs drop billing-event-1017",), exit_codes={1: "no dead letter has this id"})
def drop(job_id: JobId, key: Key = None, as_json: AsJson = False) -> None:
    """Delete a dead letter for good."""
    with client_from_env() as client:
        dropped = client.jobs.drop(job_id, key=key)
    if as_json:
        print_json({"id": job_id, "dropped": dropped})
    elif dropped:
        out.print(f"dropped; dead letter {job_id}", highlight=False, soft_wrap=True)
    else:
        print_error(f"no dead letter has the id {job_id}")
    raise typer.Exit(0 if dropped else 1)


def _time(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise typer.BadParameter("must be a time with its offset, such as 2026-01-31T09:30:00Z", param_hint=option)
    return time


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="--body") from None
    except ValueError:
        raise typer.BadParameter(f"{file} is not UTF-8", param_hint="--body") from None


def _report_status(status: JobStatus, as_json: bool, *, is_late: bool = False) -> None:
    """Print a job's status, and exit."""
    if as_json:
        print_json(status)
    else:
        names = (
            "id",
            "kind",
            "state",
            "code",
            "effect",
            "reason",
            "applied",
            "duplicates",
            "due_at",
            "finished_at",
            "trace_id",
        )
        fields = {name: value for name in names if (value := getattr(status, name)) is not None}
        fields |= {"skipped": list(status.skipped)} if status.skipped else {}
        fields |= {f"rejected[{item.index}]": f"{item.field}: {item.reason}" for item in status.rejected}
        out.print(fields_table("Job", fields))
    raise typer.Exit(1 if is_late or status.state in _FAILED_STATES else 0)


def _without_body(dead_letter: DeadLetter) -> dict[str, object]:
    return {name: value for name, value in asdict(dead_letter).items() if name != "body"}
