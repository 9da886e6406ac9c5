"""`rollcall users`: read users, merge and delete them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from rollcall import Job, NotDecided, Rollcall, User, UserNotFound
from rollcall.cli import previews
from rollcall.cli.options import AsJson, Wait
from rollcall.cli.output import cell, err, out, pairs, print_json
from rollcall_shared.attributes import ATTRIBUTES

app = typer.Typer(no_args_is_help=True, help="Read users, merge and delete them.")


@app.command()
def get(user_id: Annotated[str, typer.Argument(help="The user's id.")], as_json: AsJson = False) -> None:
    """Show one user. Exit code 1 if there is none; for a merged-away id it names the user that it stands for."""
    with Rollcall.from_env() as rollcall:
        try:
            user = rollcall.users.get(user_id)
        except UserNotFound as error:
            into = f"; it was merged into {error.merged_into}" if error.merged_into else ""
            err.print(f"[bold red]rollcall:[/] user {escape(user_id)} not found{escape(into)}", soft_wrap=True)
            if as_json:
                print_json({"id": user_id, "found": False, "merged_into": error.merged_into})
            raise typer.Exit(1) from None
    if as_json:
        print_json(asdict(user))
    else:
        out.print(pairs("User", _rows(user)))


@app.command("list")
def list_users(
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only users with this attribute or property; may be repeated."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Users on a page.")] = 50,
    after: Annotated[str | None, typer.Option(help="Go on after the page that ended so.")] = None,
    as_json: AsJson = False,
) -> None:
    """List users in the order of their ids, a page at a time.

    The VALUE of an attribute is text; that of a property is JSON if it is JSON (`seats=5`, `active=true`), else text.
    """
    with Rollcall.from_env() as rollcall:
        page = rollcall.users.list(limit=limit, after=after, where=dict(map(_condition, where or [])))
    if as_json:
        print_json({"items": [asdict(user) for user in page.items], "after": page.after})
        return
    table = Table("id", "name", "email", "properties", "updated at")
    for user in page.items:
        table.add_row(*map(cell, (user.id, user.name, user.email, user.properties, user.updated_at)))
    out.print(table)
    if page.after is not None:
        err.print(f"[dim]more: --after {escape(page.after)}[/]", soft_wrap=True)


@app.command()
def merge(
    primary: Annotated[str, typer.Argument(help="The user who stays.")],
    secondary: Annotated[str, typer.Argument(help="The user who becomes part of it, and ceases to be.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")] = False,
    keep_opt_outs: Annotated[
        bool, typer.Option("--keep-opt-outs", help="What either did not want to hear of stays unwanted.")
    ] = False,
    unite_tokens: Annotated[
        bool, typer.Option("--unite-tokens", help="Keep the push tokens of both on the same channel.")
    ] = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Merge SECONDARY into PRIMARY. There is no way back; look first with --dry-run."""
    with Rollcall.from_env() as rollcall:
        result = rollcall.users.merge(
            primary, secondary, dry_run=dry_run, keep_opt_outs=keep_opt_outs, unite_tokens=unite_tokens
        )
        if isinstance(result, Job):
            _finish(result, wait, as_json)
        elif as_json:
            print_json(asdict(result))
        else:
            previews.show(result)


@app.command()
def delete(
    user_id: Annotated[str, typer.Argument(help="The user's id.")], wait: Wait = 10.0, as_json: AsJson = False
) -> None:
    """Delete a user with preferences and channel data. An unknown user is no error; a merged-away id deletes nobody."""
    with Rollcall.from_env() as rollcall:
        _finish(rollcall.users.delete(user_id), wait, as_json)


@app.command()
def export(
    user_id: Annotated[str, typer.Argument(help="The user's id, or one that was merged into it.")],
    file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the document there; - prints it.")
    ] = None,
) -> None:
    """Gather everything that is held of a person, also of a deleted one that is not erased yet.

    Without --json only how much there is of what. Exit code 1 if nothing is held.
    """
    with Rollcall.from_env() as rollcall:
        document = rollcall.users.export(user_id)
    if file == "-":
        print_json(document)
    elif file is not None:
        Path(file).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        err.print(f"written to {escape(file)}", highlight=False, soft_wrap=True)
    else:
        counts = {name: len(part) for name, part in document.items() if isinstance(part, list) and name != "ids"}
        rows = {"ids": ", ".join(document["ids"]), "known now": document["profile"] is not None, **counts}
        out.print(pairs(f"Held of {document['id']}", rows))
    raise typer.Exit(0 if document["held"] else 1)


def _finish(job: Job, wait: float, as_json: bool) -> None:
    """Wait for the job and say how it ended."""
    state = "sent"
    if wait:
        try:
            state = job.wait(wait).state
        except NotDecided as error:
            state = error.status.state
    if as_json:
        print_json({"job_id": job.id, "state": state})
    else:
        out.print(f"{job.kind} {state}; job {job.id}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if state in ("sent", "applied") else 1)


def _condition(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--where")
    if name in ATTRIBUTES:
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _rows(user: User) -> dict[str, object]:
    known = {name: value for name, value in asdict(user).items() if name not in ("properties", "updated_at")}
    told = {name: value for name, value in known.items() if value is not None}
    properties = {f"properties.{name}": value for name, value in sorted(user.properties.items())}
    return {**told, **properties, "updated_at": user.updated_at}
