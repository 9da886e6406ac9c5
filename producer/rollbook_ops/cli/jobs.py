"""`rollbook jobs`: what became of jobs; the deferred, and the dead."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from rollbook.errors import JobTimeout
from rollbook_ops.cli.client import opened
from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import After, AsJson, Limit
from rollbook_ops.cli.output import cell, complain, out, pairs, print_json, print_table, say_more, waiting
from rollbook_shared.jobs.json_values import printable

if TYPE_CHECKING:
    from rollbook import DeadLetter, JobStatus

JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="The job's id.")]
Key = Annotated[str | None, typer.Option(help="Which one, when several dead letters bear the id.")]
Timeout = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait until it is decided.")]

_NOT_DONE: Final = ("rejected", "cancelled", "dead")


@taught(
    "rollbook jobs get billing-event-1017",
    "rollbook jobs get billing-event-1017 --json | jq -r .state",
    exits={1: "it was rejected, is cancelled or dead"},
)
def get(job_id: JobId, as_json: AsJson = False) -> None:
    """Show what became of a job.

    A job that the workers have said nothing of is `queued`; an id that was never sent looks the same.
    """
    with opened() as rollbook:
        status = rollbook.jobs.get(job_id)
    _finish(status, as_json)


@taught(
    "rollbook jobs wait billing-event-1017 --timeout 60",
    exits={1: "it is not decided in time, was rejected, is cancelled or dead"},
)
def wait(job_id: JobId, timeout: Timeout = 10.0, as_json: AsJson = False) -> None:
    """Wait until the workers have decided a job, and show how."""
    with opened() as rollbook, waiting("waiting for a worker"):
        try:
            status, is_late = rollbook.jobs.wait(job_id, timeout), False
        except JobTimeout as error:
            status, is_late = error.status, True
    if is_late:
        complain(f"job {job_id} is still {status.state} after {timeout:g} s")
    _finish(status, as_json, is_late=is_late)


@taught(
    "rollbook jobs deferred",
    "rollbook jobs deferred --json | jq -r '.items[].id'",
    exits={1: "the database is away"},
)
def deferred(limit: Limit = 50, after: After = None, as_json: AsJson = False) -> None:
    """List the jobs that take effect later, the first due first."""
    with opened() as rollbook:
        page = rollbook.jobs.list_deferred(limit=limit, after=after)
    if as_json:
        print_json(asdict(page))
        return
    table = Table("id", "kind", "due at")
    for job in page.items:
        table.add_row(*map(cell, (job.id, job.kind, job.due_at)))
    print_table(table, "no deferred jobs")
    say_more(page.after)


@taught("rollbook jobs cancel welcome-ann", exits={1: "it is too late for that, or there is no such job"})
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Take back a deferred job: it will never take effect."""
    with opened() as rollbook:
        cancelled = rollbook.jobs.cancel(job_id)
        state = rollbook.jobs.get(job_id).state
    if as_json:
        print_json({"id": job_id, "cancelled": cancelled, "state": state})
    elif cancelled:
        out.print(f"cancelled; job {job_id}", highlight=False, soft_wrap=True)
    else:
        complain(f"not cancelled; job {job_id} is {state}")
    raise typer.Exit(0 if cancelled else 1)


@taught(
    "rollbook jobs dead",
    "rollbook jobs dead --limit 1000 --json | jq -r '.items[].code' | sort | uniq -c",
    exits={1: "the database is away"},
)
def dead(limit: Limit = 50, after: After = None, as_json: AsJson = False) -> None:
    """List the dead letters, the newest first: jobs that cannot be applied as they stand."""
    with opened() as rollbook:
        page = rollbook.jobs.list_dead_letters(limit=limit, after=after)
    if as_json:
        print_json({"items": [_head(letter) for letter in page.items], "after": page.after})
        return
    table = Table("id", "kind", "code", "reason", "died at")
    for letter in page.items:
        table.add_row(*map(cell, (letter.id, letter.kind, letter.code, letter.reason, letter.failed_at)))
    print_table(table, "no dead letters")
    say_more(page.after)


@taught(
    "rollbook jobs show billing-event-1017",
    "rollbook jobs show billing-event-1017 --json | jq -r .body > mended.json",
    exits={1: "no dead letter bears the id"},
)
def show(job_id: JobId, key: Key = None, as_json: AsJson = False) -> None:
    """Show a dead letter with its body: the job as it came. It may hold personal data; mind where you paste it."""
    with opened() as rollbook:
        letter = rollbook.jobs.get_dead_letter(job_id, key=key)
    if as_json:
        print_json(asdict(letter))
        return
    out.print(pairs("Dead letter", _head(letter)))
    # as it is: to be piped into a file, corrected, and given to `replay --body`; but a terminal is to show it only
    lines = (letter.body or "").split("\n")
    print(*(map(printable, lines) if out.is_terminal else lines), sep="\n")


@taught(
    "rollbook jobs replay billing-event-1017",
    "rollbook jobs replay billing-event-1017 --body mended.json",
    "rollbook jobs replay billing-event-1017 --job-id billing-event-1017b",
    exits={1: "it was rejected or is dead again, is not decided in time, or there is no such letter"},
)
def replay(
    job_id: JobId,
    new_id: Annotated[str | None, typer.Option("--job-id", help="Send it under this id instead.")] = None,
    body: Annotated[
        Path | None, typer.Option(help="A file with the job as it should have been, as JSON; - for the input.")
    ] = None,
    key: Key = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Send a dead letter again, after a fix; drop it once the workers have decided the job.

    A letter with code `id_reused` needs a `--job-id` of its own. `rollbook jobs show` prints the body to be mended.
    """
    corrected = None if body is None else _read(body)
    with opened() as rollbook, waiting("waiting for a worker"):
        status = rollbook.jobs.replay(job_id, job_id=new_id, body=corrected, key=key, timeout=timeout)
    _finish(status, as_json)


@taught("rollbook jobs drop billing-event-1017", exits={1: "no dead letter bears the id"})
def drop(job_id: JobId, key: Key = None, as_json: AsJson = False) -> None:
    """Forget a dead letter for good."""
    with opened() as rollbook:
        dropped = rollbook.jobs.drop(job_id, key=key)
    if as_json:
        print_json({"id": job_id, "dropped": dropped})
    elif dropped:
        out.print(f"dropped; dead letter {job_id}", highlight=False, soft_wrap=True)
    else:
        complain(f"no dead letter bears the id {job_id}")
    raise typer.Exit(0 if dropped else 1)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="--body") from None
    except ValueError:
        raise typer.BadParameter(f"{file} is not UTF-8", param_hint="--body") from None


def _finish(status: JobStatus, as_json: bool, *, is_late: bool = False) -> None:
    if as_json:
        print_json(status)
    else:
        names = ("id", "kind", "state", "code", "reason", "applied", "duplicates", "due_at", "finished_at")
        rows = {name: value for name in names if (value := getattr(status, name)) is not None}
        rows |= {"skipped": list(status.skipped)} if status.skipped else {}
        rows |= {f"rejected[{item.index}]": f"{item.field}: {item.reason}" for item in status.rejected}
        out.print(pairs("Job", rows))
    raise typer.Exit(1 if is_late or status.state in _NOT_DONE else 0)


def _head(letter: DeadLetter) -> dict[str, object]:
    return {name: value for name, value in asdict(letter).items() if name != "body"}
