"""`rollbook users`: read users, merge and delete them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rollbook.errors import JobTimeout, UserNotFound
from rollbook_ops.cli import merge_preview
from rollbook_ops.cli.client import opened
from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import After, AsJson, Limit, UserId, Wait
from rollbook_ops.cli.output import cell, complain, out, pairs, print_json, print_table, say, say_more, waiting
from rollbook_shared.domain.attributes import ATTRIBUTES

if TYPE_CHECKING:
    from rollbook import JobHandle, User


@taught(
    "rollbook users get ann",
    "rollbook users get ann --json | jq .properties",
    exits={1: "nobody has this id now; if it was merged away, the user that it stands for is named"},
)
def get(user_id: UserId, as_json: AsJson = False) -> None:
    """Show one user."""
    with opened() as rollbook:
        try:
            user = rollbook.users.get(user_id)
        except UserNotFound as error:
            into = f"; it was merged into {error.merged_into}" if error.merged_into else ""
            complain(f"user {user_id} not found{into}")
            if as_json:
                print_json({"id": user_id, "found": False, "merged_into": error.merged_into})
            raise typer.Exit(1) from None
    if as_json:
        print_json(asdict(user))
    else:
        out.print(pairs("User", _rows(user)))


@taught(
    "rollbook users list --where plan=pro --where active=true",
    "rollbook users list --limit 1000 --json | jq -r '.items[].id'",
    exits={1: "the database is away"},
)
def list_users(
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Only users with this attribute or property; may be repeated.",
            autocompletion=_attributes,
        ),
    ] = None,
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List users in the order of their ids, a page at a time.

    The VALUE of an attribute is text; that of a property is JSON if it is JSON (`seats=5`, `active=true`), else text.
    The page's last line says how to go on; with `--json` it is `after`, and null at the end.
    """
    with opened() as rollbook:
        page = rollbook.users.list(limit=limit, after=after, where=dict(map(_condition, where or [])))
    if as_json:
        print_json({"items": [asdict(user) for user in page.items], "after": page.after})
        return
    table = Table("id", "name", "email", "properties", "updated at")
    for user in page.items:
        table.add_row(*map(cell, (user.id, user.name, user.email, user.properties, user.updated_at)))
    print_table(table, "no users")
    say_more(page.after)


@taught(
    "rollbook users merge ann guest_9 --dry-run",
    "rollbook users merge ann guest_9 --keep-opt-outs --merge-tokens",
    exits={1: "no worker has applied it in time (it still may), or a server is away"},
)
def merge(
    primary: Annotated[str, typer.Argument(metavar="PRIMARY", help="The user who stays.")],
    secondary: Annotated[
        str, typer.Argument(metavar="SECONDARY", help="The user who becomes part of it, and ceases to be.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")] = False,
    keep_opt_outs: Annotated[
        bool, typer.Option("--keep-opt-outs", help="What either did not want to hear of stays unwanted.")
    ] = False,
    merge_tokens: Annotated[
        bool, typer.Option("--merge-tokens", help="Keep the push tokens of both on the same channel.")
    ] = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Merge SECONDARY into PRIMARY. There is no way back; look first with `--dry-run`."""
    if primary == secondary:
        raise typer.BadParameter("must be another user than PRIMARY", param_hint="SECONDARY")
    with opened() as rollbook:
        if not dry_run:
            job = rollbook.users.merge(primary, secondary, keep_opt_outs=keep_opt_outs, merge_tokens=merge_tokens)
            _finish(job, wait, as_json)
            return
        preview = rollbook.users.merge(
            primary, secondary, dry_run=True, keep_opt_outs=keep_opt_outs, merge_tokens=merge_tokens
        )
    if as_json:
        print_json(asdict(preview))
    else:
        merge_preview.show(preview)


@taught(
    "rollbook users delete ann",
    exits={1: "no worker has applied it in time (it still may), or a server is away"},
)
def delete(user_id: UserId, wait: Wait = 10.0, as_json: AsJson = False) -> None:
    """Delete a user with preferences and channel data. An unknown user is no error; a merged-away id deletes nobody.

    A day later all that is left is erased; `rollbook erase` does not wait.
    """
    with opened() as rollbook:
        _finish(rollbook.users.delete(user_id), wait, as_json)


@taught(
    "rollbook users export ann --output ann.json",
    "rollbook users export ann --json | jq .profile",
    exits={1: "nothing is held"},
)
def export(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="The user's id, or one that was merged into it.")],
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, metavar="FILE", help="Write the document there, for people to read.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Gather everything that is held of a person, also of a deleted one that is not erased yet.

    Without `--json` and `--output` it only says how much there is of what.
    """
    with opened() as rollbook:
        document = rollbook.users.export(user_id)
    if output is not None:
        _write(output, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        say(f"written to {output}")
    if as_json:
        print_json(document)
    elif output is None:
        counts = {name: len(part) for name, part in document.items() if isinstance(part, list) and name != "ids"}
        rows = {"ids": ", ".join(document["ids"]), "known now": document["profile"] is not None, **counts}
        out.print(pairs(f"Held of {document['id']}", rows))
    raise typer.Exit(0 if document["held"] else 1)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}", param_hint="--output") from None


def _finish(job: JobHandle, wait: float, as_json: bool) -> None:
    """Wait for the job and say how it ended."""
    state = "sent"
    if wait:
        with waiting("waiting for a worker"):
            try:
                state = job.wait(wait).state
            except JobTimeout as error:
                state = error.status.state
            except KeyboardInterrupt:
                complain(f"interrupted; job {job.id} was sent all the same")
                raise
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


def _attributes(incomplete: str) -> list[str]:
    """For shell completion."""
    return [f"{name}=" for name in sorted(ATTRIBUTES) if name.startswith(incomplete)]


def _rows(user: User) -> dict[str, object]:
    known = {name: value for name, value in asdict(user).items() if name not in ("properties", "updated_at")}
    told = {name: value for name, value in known.items() if value is not None}
    properties = {f"properties.{name}": value for name, value in sorted(user.properties.items())}
    return {**told, **properties, "updated_at": user.updated_at}
