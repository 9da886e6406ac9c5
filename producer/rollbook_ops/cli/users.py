"""`rollbook users`: read users, merge and delete them."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rollbook_ops.cli import explanations, merge_preview
from rollbook_ops.cli.command import After, AsJson, Limit, UserId, Wait, client_from_env, command
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
from rollbook_shared.domain.attributes import ATTRIBUTES

if TYPE_CHECKING:
    from rollbook import JobHandle, User


@command(
    examples=("rollbook users get ann", "rollbook users get ann --json | jq .properties"),
    exit_codes={1: "no user has this id; if it was merged, the error names the user it now stands for"},
)
def get(user_id: UserId, as_json: AsJson = False) -> None:
    """Show one user."""
    from rollbook import UserNotFound

    with client_from_env() as client:
        try:
            user = client.users.get(user_id)
        except UserNotFound as error:
            merged = f"; it was merged into {error.merged_into}" if error.merged_into else ""
            print_error(f"user {user_id} not found{merged}")
            if as_json:
                print_json({"id": user_id, "found": False, "merged_into": error.merged_into})
            raise typer.Exit(1) from None
    if as_json:
        print_json(asdict(user))
    else:
        out.print(fields_table("User", _user_fields(user)))


def _complete_where(incomplete: str) -> list[str]:
    return [f"{name}=" for name in sorted(ATTRIBUTES) if name.startswith(incomplete)]


class Sort(StrEnum):
    """The orders of a list of users."""

    ID = "id"
    ID_DESCENDING = "-id"
    CREATED_AT = "created_at"
    CREATED_AT_DESCENDING = "-created_at"
    UPDATED_AT = "updated_at"
    UPDATED_AT_DESCENDING = "-updated_at"


Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Only users with this attribute or property. Can be repeated.",
        autocompletion=_complete_where,
    ),
]
Email = Annotated[str | None, typer.Option(help="Only users with this e-mail address, without regard to case.")]
PhoneNumber = Annotated[str | None, typer.Option(help="Only users with this phone number.")]
Prefix = Annotated[str | None, typer.Option(help="Only users whose id, e-mail address or name begins with this.")]


@command(
    examples=(
        "rollbook users list --where plan=pro --where active=true",
        "rollbook users list --prefix ann",
        "rollbook users list --sort=-created_at --limit 10",
        "rollbook users list --limit 1000 --json | jq -r '.items[].id'",
    ),
    exit_codes={1: "the database is not available"},
)
def list_users(
    where: Where = None,
    email: Email = None,
    phone_number: PhoneNumber = None,
    prefix: Prefix = None,
    sort: Annotated[Sort | None, typer.Option(help="The order; with - before it, the largest first.")] = None,
    limit: Limit = 50,
    after: After = None,
    before: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Show the page before the one that began with this cursor.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List users one page at a time, by default in the order of their ids.

    The VALUE of an attribute is text. The VALUE of a property is JSON if it parses as JSON (`seats=5`, `active=true`),
    otherwise text. The last line of a page shows the option for the next page; with `--json` the field `after` has
    its value, and is null on the last page; `before` is that of the previous page. A page looks at 10,000 users at
    most, so a page before the last one may be short, or empty.
    """
    with client_from_env() as client:
        page = client.users.list(
            limit=limit,
            after=after,
            before=before,
            where=_conditions(where, email, phone_number),
            prefix=prefix,
            sort=None if sort is None else sort.value,
        )
    if as_json:
        print_json({"items": [asdict(user) for user in page.items], "after": page.after, "before": page.before})
        return
    _print_users(page.items)
    print_next_page(page.after)


@command(
    examples=("rollbook users find --email ann@example.com", "rollbook users find --phone-number +41315550100 --json"),
    exit_codes={1: "no user has it, or the database is not available"},
)
def find(email: Email = None, phone_number: PhoneNumber = None, as_json: AsJson = False) -> None:
    """Show all users with an e-mail address, without regard to case, or with a phone number."""
    if email is None and phone_number is None:
        raise typer.BadParameter("give one of them", param_hint="--email or --phone-number")
    with client_from_env() as client:
        users = client.users.find(email=email, phone_number=phone_number)
    if as_json:
        print_json([asdict(user) for user in users])
    else:
        _print_users(users)
    raise typer.Exit(0 if users else 1)


@command(
    examples=("rollbook users count", "rollbook users count --where plan=pro --json | jq .value"),
    exit_codes={1: "the database is not available"},
)
def count(
    where: Where = None,
    email: Email = None,
    phone_number: PhoneNumber = None,
    prefix: Prefix = None,
    as_json: AsJson = False,
) -> None:
    """Count users. The number is exact if at most 10,000 users have to be looked at, otherwise an estimate."""
    with client_from_env() as client:
        counted = client.users.count(where=_conditions(where, email, phone_number), prefix=prefix)
    if as_json:
        print_json(asdict(counted))
    else:
        out.print(f"{counted.value:,}" if counted.is_exact else f"about {counted.value:,}", highlight=False)


def _print_users(users: tuple[User, ...]) -> None:
    table = Table("id", "name", "email", "properties", "updated at")
    for user in users:
        table.add_row(*map(format_cell, (user.id, user.name, user.email, user.properties, user.updated_at)))
    print_table(table, "no users")


@command(
    examples=(
        "rollbook users merge ann guest_9 --dry-run",
        "rollbook users merge ann guest_9 --keep-opt-outs --merge-tokens",
    ),
    exit_codes={1: "no worker applied it in time (it may still be applied), or a server is not available"},
)
def merge(
    primary: Annotated[str, typer.Argument(metavar="PRIMARY", help="The user that remains.")],
    secondary: Annotated[
        str, typer.Argument(metavar="SECONDARY", help="The user that becomes part of it and ceases to exist.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")] = False,
    keep_opt_outs: Annotated[
        bool, typer.Option("--keep-opt-outs", help="Whatever either user opted out of stays opted out.")
    ] = False,
    merge_tokens: Annotated[
        bool, typer.Option("--merge-tokens", help="Keep the push tokens of both on the same channel.")
    ] = False,
    wait: Wait = 10.0,
    as_json: AsJson = False,
) -> None:
    """Merge SECONDARY into PRIMARY. A merge cannot be undone; preview it with `--dry-run`."""
    if primary == secondary:
        raise typer.BadParameter("must be another user than PRIMARY", param_hint="SECONDARY")
    with client_from_env() as client:
        if not dry_run:
            job = client.users.merge(primary, secondary, keep_opt_outs=keep_opt_outs, merge_tokens=merge_tokens)
            _report_job(job, wait, as_json)
            return
        preview = client.users.merge(
            primary, secondary, dry_run=True, keep_opt_outs=keep_opt_outs, merge_tokens=merge_tokens
        )
    if as_json:
        print_json(asdict(preview))
    else:
        merge_preview.print_preview(preview)


@command(
    examples=("rollbook users delete ann",),
    exit_codes={1: "no worker applied it in time (it may still be applied), or a server is not available"},
)
def delete(user_id: UserId, wait: Wait = 10.0, as_json: AsJson = False) -> None:
    """Delete a user with preferences and channel data.

    Deleting an unknown user is no error. Deleting an id that was merged away deletes no user. Everything that
    is left of a deleted user is erased after the erasure delay (24 hours); `rollbook erase` erases at once.
    """
    with client_from_env() as client:
        _report_job(client.users.delete(user_id), wait, as_json)


@command(
    examples=("rollbook users export ann --output ann.json", "rollbook users export ann --json | jq .profile"),
    exit_codes={1: "nothing is stored about this id"},
)
def export(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="The user's id, or one that was merged into it.")],
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, metavar="FILE", help="Write the document to FILE, indented.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export everything that is stored about a user, including a deleted user that is not erased yet.

    Without `--json` and `--output` it prints only how many rows there are of each kind.
    """
    with client_from_env() as client:
        document = client.users.export(user_id)
    if output is not None:
        _write(output, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        print_note(f"written to {output}")
    if as_json:
        print_json(document)
    elif output is None:
        counts = {name: len(part) for name, part in document.items() if isinstance(part, list) and name != "ids"}
        fields = {"ids": ", ".join(document["ids"]), "exists now": document["profile"] is not None, **counts}
        out.print(fields_table(f"Stored about {document['id']}", fields))
        print_note("the data themselves: --json, or --output FILE")
    raise typer.Exit(0 if document["held"] else 1)


@command(
    examples=(
        "rollbook users explain ann",
        "rollbook users explain ann --json | jq '.traits[] | select(.path[0] == \"plan\")'",
    ),
    exit_codes={1: "nothing is known of this id"},
)
def explain(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="The user's id, or one that was merged into it.")],
    as_json: AsJson = False,
) -> None:
    """Show which job set each value of a user, when, and under which id it arrived; and which merges and deletes name
    its ids.
    """
    from rollbook import UserNotFound

    with client_from_env() as client:
        try:
            explanation = client.users.explain(user_id)
        except UserNotFound:
            print_error(f"nothing is known of {user_id}")
            raise typer.Exit(1) from None
    if as_json:
        print_json(explanation.as_dict())
    else:
        explanations.print_user(explanation)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be written: {error.strerror}", param_hint="--output") from None


def _report_job(job: JobHandle, wait: float, as_json: bool) -> None:
    """Wait for the job, print its state, and exit."""
    from rollbook import JobTimeout

    state = "sent"
    if wait:
        with spinner("waiting for a worker"):
            try:
                state = job.wait(wait).state
            except JobTimeout as error:
                state = error.status.state
            except KeyboardInterrupt:
                print_error(f"interrupted; job {job.id} was sent and will be applied")
                raise
    if as_json:
        print_json({"job_id": job.id, "state": state})
    else:
        out.print(f"{job.kind} {state}; job {job.id}", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if state in ("sent", "applied") else 1)


def _conditions(where: list[str] | None, email: str | None, phone_number: str | None) -> dict[str, Any]:
    given = {"email": email, "phone_number": phone_number}
    return dict(map(_parse_condition, where or [])) | {
        name: value for name, value in given.items() if value is not None
    }


def _parse_condition(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--where")
    if name in ATTRIBUTES:
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _user_fields(user: User) -> dict[str, object]:
    attributes = {
        name: value
        for name, value in asdict(user).items()
        if name not in ("properties", "updated_at") and value is not None
    }
    properties = {f"properties.{name}": value for name, value in sorted(user.properties.items())}
    return {**attributes, **properties, "updated_at": user.updated_at}
