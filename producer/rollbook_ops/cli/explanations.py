"""Prints why a user or a message is as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table

from rollbook_ops.cli.output import escape_text, fields_table, format_cell, out

if TYPE_CHECKING:
    from rollbook import ExplainedEvent, MessageExplanation, UserExplanation


def print_user(explanation: UserExplanation) -> None:
    """Print the values with their jobs, the events and the ownership of history."""
    if not explanation.exists:
        _print_line(f"{explanation.id} was deleted; what it had is not shown.")
    elif explanation.asked_for != explanation.id:
        _print_line(f"{explanation.asked_for} stands for {explanation.id}.")
    table = Table(
        "", "value", "set at", "by job", "arrived as", title=escape_text(explanation.id), title_justify="left"
    )
    table.columns[1].overflow = "fold"
    for one in (*explanation.traits, *explanation.preferences, *explanation.channel_data):
        name = ".".join(one.path if one.section == "attributes" else (one.section, *one.path))
        table.add_row(*map(format_cell, (name, one.value, one.occurred_at, one.job_id, one.user_id)))
    for token in explanation.tokens:
        name = f"channel_data.{token.channel_id}.tokens"
        table.add_row(*map(format_cell, (name, token.token, token.occurred_at, token.job_id, token.user_id)))
    if table.row_count:
        out.print(table)
    _print_events(explanation.events)
    periods = Table("id", "from", "until", "owner", title="What was addressed to the ids", title_justify="left")
    for period in explanation.ownership:
        owner = period.owner if period.existed else "no user had the id"
        periods.add_row(*map(format_cell, (period.user_id, period.since, period.until, owner)))
    if periods.row_count:
        out.print(periods)
    if not explanation.is_complete:
        _print_line("There are more ids, events or periods than are shown.")


def print_message(explanation: MessageExplanation) -> None:
    """Print whose the message is, what the settings said, and what became of its delivery."""
    delivery = explanation.delivery
    out.print(
        fields_table(
            "Message",
            {
                "id": explanation.id,
                "workflow": explanation.workflow,
                "channel": explanation.channel,
                "job": explanation.job_id,
                "occurred at": explanation.occurred_at,
                "addressed to": explanation.addressed_to,
                "owner": explanation.owner,
                "why": _OWNERS[explanation.owner_reason],
                "preference set": explanation.preference_set,
                "allowed": explanation.is_allowed,
                "delivery": delivery.state if delivery else None,
                "attempts": delivery.attempts if delivery else None,
                "reason": delivery.reason if delivery else None,
            },
        )
    )
    table = Table("setting", "says", "set at", "by job", "arrived as", title="Settings", title_justify="left")
    for one in explanation.settings:
        says = {True: "on", False: "off: stopped it", None: None}[one.value]
        table.add_row(*map(format_cell, (".".join(one.path), says, one.occurred_at, one.job_id, one.user_id)))
    if table.row_count:
        out.print(table)
    _print_events(explanation.events)


_OWNERS: Final = {
    "addressed": "it was addressed to this user",
    "merged": "its user was merged into this one later",
    "unknown": "no user had the id when the trigger occurred",
    "deleted": "its user was deleted since",
    "too_old": "its user was merged since, and the merge does not transfer what is so old",
}


def _print_events(events: tuple[ExplainedEvent, ...]) -> None:
    table = Table("at", "job", "event", "effect", title="Merges and deletes", title_justify="left")
    for event in events:
        text = f"delete {event.user_id}" if event.kind == "delete" else f"merge {event.user_id} into {event.primary_id}"
        table.add_row(*map(format_cell, (event.occurred_at, event.job_id, text, event.no_effect or "took effect")))
    if table.row_count:
        out.print(table)


def _print_line(line: str) -> None:
    out.print(escape_text(line), highlight=False, soft_wrap=True)
