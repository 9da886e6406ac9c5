"""`rollbook deliveries`: the messages that leave, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
    print_table,
)

if TYPE_CHECKING:
    from rollbook import DeliveryStatus

DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="The delivery's id, which is its message's.")]
ChannelKey = Annotated[str | None, typer.Option(metavar="KEY", help="Only those of this channel of the registry.")]


@command(
    examples=(
        "rollbook deliveries list --state undeliverable",
        "rollbook deliveries list --user-id ann --json | jq -r '.items[] | [.state, .reason] | @tsv'",
    ),
    exit_codes={1: "the database is not available"},
)
def list_deliveries(
    user_id: Annotated[
        str | None, typer.Option("--user-id", metavar="USER_ID", help="Those of this user's messages, newest first.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            help="Those in this state, the last changed first: pending, claimed, failed, sent, delivered, "
            "undeliverable, skipped or cancelled."
        ),
    ] = None,
    channel: ChannelKey = None,
    limit: Limit = 50,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries of a user, or in a state; give one of both, or both. No address is shown."""
    with client_from_env() as client:
        page = client.deliveries.list(user_id=user_id, state=state, channel=channel, limit=limit, after=after)
    if as_json:
        print_json({"items": [each.as_dict() for each in page.items], "after": page.after})
        return
    table = Table("id", "user", "channel", "workflow", "state", "reason", "attempts", "changed at")
    for each in page.items:
        cells = (each.id, each.user_id, each.channel, each.workflow, each.state, each.reason, each.attempts)
        table.add_row(*map(format_cell, (*cells, each.changed_at)))
    print_table(table, "no deliveries")
    print_next_page(page.after)


@command(
    examples=("rollbook deliveries get 6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11",),
    exit_codes={1: "there is no such delivery"},
)
def get(delivery_id: DeliveryId, as_json: AsJson = False) -> None:
    """Show what became of a delivery."""
    with client_from_env() as client:
        status = client.deliveries.get(delivery_id)
    _print_status(status, as_json)


@command(
    examples=("rollbook deliveries claim push --limit 10 --lease 60 --json",),
    exit_codes={1: "the registry has no such channel that is delivered"},
)
def claim(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's key in the registry.")],
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many to claim at most.")] = 1,
    lease: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="For how long.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Claim deliveries, as a sender does: to see what a sender gets, or for a sender in a shell.

    The JSON has addresses and contents. What is not reported is claimed again when the lease ends; each claim counts as
    an attempt.
    """
    with client_from_env() as client:
        claimed = client.deliveries.claim(channel, limit=limit, lease=lease)
    if as_json:
        print_json({"items": [delivery.as_dict() for delivery in claimed]})
        return
    table = Table("id", "user", "workflow", "attempt", "lease ends at")
    for each in claimed:
        table.add_row(
            *map(format_cell, (each.id, each.recipient["id"], each.workflow, each.attempt, each.lease_ends_at))
        )
    print_table(table, "nothing to claim")


@command(
    examples=("rollbook deliveries retry 6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11",),
    exit_codes={1: "it waits already, was sent, or there is no such delivery"},
)
def retry(delivery_id: DeliveryId, as_json: AsJson = False) -> None:
    """Let a delivery that was not sent be claimed again, with all of its attempts, whatever its age."""
    _change(delivery_id, "retry", "retried", as_json)


@command(
    examples=("rollbook deliveries cancel 6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11",),
    exit_codes={1: "a sender has it, it is done, or there is no such delivery"},
)
def cancel(delivery_id: DeliveryId, as_json: AsJson = False) -> None:
    """Cancel a delivery that waits, so that no sender claims it."""
    _change(delivery_id, "cancel", "cancelled", as_json)


def _change(delivery_id: str, call: str, done: str, as_json: bool) -> None:
    with client_from_env() as client:
        changed = bool(getattr(client.deliveries, call)(delivery_id))
        state = client.deliveries.get(delivery_id).state
    if as_json:
        print_json({"id": delivery_id, done: changed, "state": state})
    elif changed:
        out.print(f"{done}; delivery {delivery_id}", highlight=False, soft_wrap=True)
    else:
        print_error(f"not {done}; delivery {delivery_id} is {state}")
    raise typer.Exit(0 if changed else 1)


def _print_status(status: DeliveryStatus, as_json: bool) -> None:
    fields: dict[str, Any] = status.as_dict()
    if as_json:
        print_json(fields)
    else:
        out.print(fields_table("Delivery", fields))
