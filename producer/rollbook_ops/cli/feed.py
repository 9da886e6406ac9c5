"""`rollbook feed`: what a user is shown."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.client import opened
from rollbook_ops.cli.help import taught
from rollbook_ops.cli.options import After, AsJson, Limit, UserId
from rollbook_ops.cli.output import cell, err, out, print_json, say_more, shown

if TYPE_CHECKING:
    from rollbook import Actor, Message


class Status(StrEnum):
    """The choices of `FeedStatus`, as the command line needs them."""

    ALL = "all"
    UNSEEN = "unseen"
    UNREAD = "unread"
    ARCHIVED = "archived"


@taught(
    "rollbook feed ann --status unread",
    "rollbook feed ann --json | jq .unread",
    exits={1: "the database is away"},
)
def feed(
    user_id: UserId,
    status: Annotated[
        Status,
        typer.Option(help="All but the archived ones; of those the unseen or unread; or the archived."),
    ] = Status.ALL,
    channel: Annotated[str, typer.Option(help="The channel whose messages to show.")] = "in_app",
    limit: Limit = 20,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """Show a user's feed, newest first. An unknown user has an empty one."""
    with opened() as rollbook:
        found = rollbook.feeds.list(user_id, status=status.value, channel=channel, limit=limit, after=after)
    if as_json:
        print_json({**asdict(found), "items": [_as_dict(item) for item in found.items]})
        return
    table = Table("occurred at", "workflow", "actor", "data", "seen", "read", "message id")
    for item in found.items:
        marks = ("yes" if item.seen else "", "yes" if item.read else "")
        table.add_row(cell(item.occurred_at), cell(item.workflow), _actor(item.actor), cell(item.data), *marks, item.id)
    if found.items:
        out.print(table)
    counts = f"{found.total} messages, {found.unseen} unseen, {found.unread} unread"
    out.print(counts, highlight=False, soft_wrap=True)
    if found.merged_into is not None:
        err.print(f"{shown(user_id)} was merged into {shown(found.merged_into)}, whose feed it is", soft_wrap=True)
    say_more(found.after)


def _as_dict(item: Message) -> dict[str, object]:
    return {**asdict(item), "actor": None if item.actor is None else item.actor.as_dict()}


def _actor(actor: Actor | None) -> str:
    if actor is None:
        return cell(None)
    return "[dim]missing[/]" if actor.id is None else cell(actor.name or actor.id)
