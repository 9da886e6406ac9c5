"""`rollcall jobs`: what became of jobs; the deferred, and the dead."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from rollcall import DeadLetter, JobStatus, Rollcall
from rollcall.cli.options import AsJson
from rollcall.cli.output import cell, err, out, pairs, print_json

app = typer.Typer(no_args_is_help=True, help="Ask what became of jobs; cancel deferred ones; replay dead ones.")

JobId = Annotated[str, typer.Argument(help="The job's id.")]
Key = Annotated[str | None, typer.Option(help="Which one, when several dead letters bear the id.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="Lines on a page.")]
After = Annotated[str | None, typer.Option(help="Go on after the page that ended so.")]

_NOT_DONE: Final = ("refused", "cancelled", "dead")


@app.command()
def get(job_id: JobId, as_json: AsJson = False) -> None:
    """Show what became of a job. Exit code 1 if it was refused, is cancelled or dead.

    A job that the workers have said nothing of is `queued`; an id that was never sent looks the same.
    """
    with Rollcall.from_env() as rollcall:
        status = rollcall.jobs.get(job_id)
    _finish(status, as_json)


@app.command()
def wait(
    job_id: JobId,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Wait until the workers have decided a job, and show how. Exit code 1 if they have not, or not applied it."""
    with Rollcall.from_env() as rollcall:
        status = rollcall.jobs.wait(job_id, timeout)
    _finish(status, as_json)


@app.command()
def deferred(limit: Limit = 50, after: After = None, as_json: AsJson = False) -> None:
    """List the jobs that take effect later, the first due first."""
    with Rollcall.from_env() as rollcall:
        page = rollcall.jobs.deferred(limit=limit, after=after)
    if as_json:
        print_json(asdict(page))
        return
    table = Table("id", "kind", "due at")
    for job in page.items:
        table.add_row(*map(cell, (job.id, job.kind, job.due_at)))
    out.print(table)
    _say_more(page.after)


@app.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Take back a deferred job. Exit code 1 if it is too late for that, or there is no such job."""
    with Rollcall.from_env() as rollcall:
        cancelled = rollcall.jobs.cancel(job_id)
        state = rollcall.jobs.get(job_id).state
    if as_json:
        print_json({"id": job_id, "cancelled": cancelled, "state": state})
    elif cancelled:
        out.print(f"cancelled; job {job_id}", highlight=False, soft_wrap=True)
    else:
        err.print(f"[bold red]rollcall:[/] not cancelled; job {escape(job_id)} is {state}", soft_wrap=True)
    raise typer.Exit(0 if cancelled else 1)


@app.command()
def dead(limit: Limit = 50, after: After = None, as_json: AsJson = False) -> None:
    """List the dead letters, the newest first: jobs that cannot be applied as they stand."""
    with Rollcall.from_env() as rollcall:
        page = rollcall.jobs.dead(limit=limit, after=after)
    if as_json:
        print_json({"items": [_head(letter) for letter in page.items], "after": page.after})
        return
    table = Table("id", "kind", "code", "reason", "died at")
    for letter in page.items:
        table.add_row(*map(cell, (letter.id, letter.kind, letter.code, letter.reason, letter.died_at)))
    out.print(table)
    _say_more(page.after)


@app.command()
def show(job_id: JobId, key: Key = None, as_json: AsJson = False) -> None:
    """Show a dead letter with its body: the job as it came. It may hold personal data; mind where you paste it."""
    with Rollcall.from_env() as rollcall:
        letter = rollcall.jobs.show(job_id, key=key)
    if as_json:
        print_json(asdict(letter))
        return
    out.print(pairs("Dead letter", _head(letter)))
    # as it is: to be piped into a file, corrected, and given to `replay --body`
    print(letter.body)


@app.command()
def replay(
    job_id: JobId,
    new_id: Annotated[str | None, typer.Option("--job-id", help="Send it under this id instead.")] = None,
    body: Annotated[
        Path | None, typer.Option(help="A file with the job as it should have been, as JSON; - for the input.")
    ] = None,
    key: Key = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait until it is decided.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Send a dead letter again, after a fix; drop it once the workers have decided the job.

    A letter with code `id_reused` needs a `--job-id` of its own.
    """
    corrected = None if body is None else _read(body)
    with Rollcall.from_env() as rollcall:
        status = rollcall.jobs.replay(job_id, job_id=new_id, body=corrected, key=key, timeout=timeout)
    _finish(status, as_json)


@app.command()
def drop(job_id: JobId, key: Key = None, as_json: AsJson = False) -> None:
    """Forget a dead letter for good. Exit code 1 if there is none."""
    with Rollcall.from_env() as rollcall:
        dropped = rollcall.jobs.drop(job_id, key=key)
    if as_json:
        print_json({"id": job_id, "dropped": dropped})
    elif dropped:
        out.print(f"dropped; dead letter {job_id}", highlight=False, soft_wrap=True)
    else:
        err.print(f"[bold red]rollcall:[/] no dead letter bears the id {escape(job_id)}", soft_wrap=True)
    raise typer.Exit(0 if dropped else 1)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} cannot be read ({type(error).__name__})", param_hint="--body") from None


def _finish(status: JobStatus, as_json: bool) -> None:
    if as_json:
        print_json(status)
    else:
        names = ("id", "kind", "state", "code", "reason", "applied", "duplicates", "due_at", "decided_at")
        rows = {name: getattr(status, name) for name in names}
        rows |= {"skipped": list(status.skipped) or None}
        rows |= {f"refused[{item.index}]": f"{item.field}: {item.reason}" for item in status.refused}
        out.print(pairs("Job", rows))
    raise typer.Exit(1 if status.state in _NOT_DONE else 0)


def _head(letter: DeadLetter) -> dict[str, object]:
    return {name: value for name, value in asdict(letter).items() if name != "body"}


def _say_more(after: str | None) -> None:
    if after is not None:
        err.print(f"[dim]more: --after {escape(after)}[/]", soft_wrap=True)
