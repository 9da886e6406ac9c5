"""`rollbook jobs`: what concerns many dead letters at once."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.command import After, AsJson, client_from_env, command
from rollbook_ops.cli.output import format_cell, out, print_json, print_next_page, print_table, spinner

Code = Annotated[str, typer.Argument(metavar="CODE", help="The code of the dead letters, such as failed.")]


@command(examples=("rollbook jobs codes",), exit_codes={1: "the database is not available"})
def codes(as_json: AsJson = False) -> None:
    """Count the dead letters of each code; of one with more than 10,000 the number is followed by a plus."""
    with client_from_env() as client:
        groups = client.jobs.count_dead_letters()
    if as_json:
        print_json({"items": [each.as_dict() for each in groups]})
        return
    table = Table("code", "dead letters", "oldest", "newest")
    for each in groups:
        count = f"{each.count:,}" if each.is_exact else f"{each.count:,}+"
        table.add_row(*map(format_cell, (each.code, count, each.oldest, each.newest)))
    print_table(table, "no dead letters")


@command(
    examples=("rollbook jobs replay-all failed", "rollbook jobs replay-all too_slow --limit 10 --timeout 120"),
    exit_codes={1: "some were not replayed, or not finished in time"},
)
def replay_all(
    code: Code,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most, the oldest first.")] = 100,
    after: After = None,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for all of them.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Send the dead letters of a code again, after a fix; drop those whose jobs the workers have finished."""
    with client_from_env() as client, spinner("waiting for a worker"):
        report = client.jobs.replay_dead_letters(code, limit=limit, after=after, timeout=timeout)
    if as_json:
        print_json(report.as_dict())
    else:
        table = Table("id", "state", "code", "reason")
        for status in report.finished:
            table.add_row(*map(format_cell, (status.id, status.state, status.code, status.reason)))
        for unsent in report.unsent:
            table.add_row(*map(format_cell, (unsent.id, "not replayed", None, unsent.reason)))
        for job_id in report.unfinished:
            table.add_row(*map(format_cell, (job_id, "not finished", None, None)))
        print_table(table, "no dead letters")
        print_next_page(report.after)
    raise typer.Exit(1 if report.unsent or report.unfinished else 0)


@command(
    examples=("rollbook jobs drop-all malformed",),
    exit_codes={1: "the database is not available"},
)
def drop_all(
    code: Code,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at most, the oldest first.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """Delete the dead letters of a code for good."""
    with client_from_env() as client:
        dropped = client.jobs.drop_dead_letters(code, limit=limit)
    if as_json:
        print_json({"code": code, "dropped": dropped})
    else:
        out.print(f"dropped {dropped:,}", highlight=False, soft_wrap=True)
