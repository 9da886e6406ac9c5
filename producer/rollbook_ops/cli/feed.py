"""`rollbook feed`: the messages in a user's feed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rollbook_ops.cli.command import After, AsJson, Limit, UserId, client_from_env, command
from rollbook_ops.cli.output import err, escape_text, format_cell, out, print_json, print_next_page

if TYPE_CHECKING:
    from rollbook import Actor


class FeedFilter(StrEnum):
    """The values of `FeedStatus`, as an enumeration for the command line."""

    ALL = "all"
    UNSEEN = "unseen"
    SEEN = "seen"
    UNREAD = "unread"
    READ = "read"
    ARCHIVED = "archived"


@command(
    examples=("rollbook feed ann --status unread", "rollbook feed ann --json | jq .unread"),
    exit_codes={1: "the database is not available"},
)
def feed(
    user_id: UserId,
    status: Annotated[
        FeedFilter,
        typer.Option(help="`all` is every message that is not archived; the others are parts of it, but `archived`."),
    ] = FeedFilter.ALL,
    channel: Annotated[str, typer.Option(help="The channel whose messages to show.")] = "in_app",
    limit: Limit = 20,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """Show a user's feed, newest message first. The feed of an unknown user is empty."""
    with client_from_env() as client:
        page = client.feeds.list(user_id, status=status.value, channel=channel, limit=limit, after=after)
    if as_json:
        print_json(page.as_dict())
        return
    table = Table("occurred at", "workflow", "actor", "data", "seen", "read", "message id")
    for message in page.items:
        table.add_row(
            format_cell(message.occurred_at),
            format_cell(message.workflow),
            _format_actor(message.actor),
            format_cell(message.data),
            "yes" if message.seen else "",
            "yes" if message.read else "",
            message.id,
        )
    if page.items:
        out.print(table)
    counts = f"{page.total} messages, {page.unseen} unseen, {page.unread} unread"
    out.print(counts, highlight=False, soft_wrap=True)
    if page.merged_into is not None:
        merged = f"{escape_text(user_id)} was merged into {escape_text(page.merged_into)}; this is that user's feed"
        err.print(merged, soft_wrap=True)
    print_next_page(page.after)


def _format_actor(actor: Actor | None) -> str:
    if actor is None:
        return format_cell(None)
    return "[dim]missing[/]" if actor.id is None else format_cell(actor.name or actor.id)
