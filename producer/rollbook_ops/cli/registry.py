"""`rollbook channels` and `rollbook workflows`: what the registry's file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from rollbook_ops.cli.command import AsJson, command
from rollbook_ops.cli.output import format_cell, print_json, print_table
from rollbook_shared.settings import Settings

if TYPE_CHECKING:
    from rollbook_shared.registry import Channel, Registry, Workflow

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60))


@command(
    examples=("rollbook channels", "rollbook channels --json | jq '.items[] | select(.delivery)'"),
    exit_codes={2: "the registry cannot be read or is invalid"},
)
def channels(as_json: AsJson = False) -> None:
    """Show the channels of the registry, the file of `ROLLBOOK_REGISTRY`, and how each is delivered.

    The options of senders are not shown.
    """
    found = [_channel_fields(channel) for channel in _registry().channels.values()]
    if as_json:
        print_json({"items": found})
        return
    table = Table("key", "type", "delivery", "needs", "max age", "attempts", "per second")
    for each in found:
        names = ("key", "type", "delivery", "needs", "max_age", "attempts", "per_second")
        shown = {**each, "max_age": _as_written(each.get("max_age"))}
        table.add_row(*(format_cell(shown.get(name)) for name in names))
    print_table(table, "no channels")


@command(
    examples=("rollbook workflows", "rollbook workflows --json | jq -r '.items[].key'"),
    exit_codes={2: "the registry cannot be read or is invalid"},
)
def workflows(as_json: AsJson = False) -> None:
    """Show the workflows of the registry, the file of `ROLLBOOK_REGISTRY`. If it names none, every workflow exists."""
    found = [_workflow_fields(workflow) for workflow in (_registry().workflows or {}).values()]
    if as_json:
        print_json({"items": found})
        return
    table = Table("key", "channels", "categories", "priority", "active")
    for each in found:
        table.add_row(
            format_cell(each["key"]),
            format_cell(", ".join(each["channels"])),
            format_cell(", ".join(each["categories"])),
            format_cell(each["priority"]),
            format_cell("yes" if each["active"] else "no"),
        )
    print_table(table, "no workflow is named: every workflow exists, and uses in_app")


def _registry() -> Registry:
    from rollbook_shared.registry import RegistryFile  # imported here: help does not need it

    return RegistryFile(Settings.from_env().registry).current


def _channel_fields(channel: Channel) -> dict[str, Any]:
    fields: dict[str, Any] = {"key": channel.key, "type": channel.type, "provider": channel.provider}
    if channel.delivery is None:
        return {**fields, "delivery": None}
    return {
        **fields,
        "delivery": channel.delivery.value,
        "needs": channel.needs,
        "max_age": channel.max_age.total_seconds(),
        "attempts": channel.attempts,
        "delay": channel.delay.total_seconds(),
        "skip_seen": channel.skip_seen,
        "per_second": channel.per_second,
    }


def _as_written(seconds: float | None) -> str | None:
    """A time as the registry has it, such as `10m`."""
    if seconds is None:
        return None
    size, unit = next(((size, unit) for unit, size in _UNITS if seconds % size == 0), (1, "s"))
    return f"{seconds / size:g}{unit}"


def _workflow_fields(workflow: Workflow) -> dict[str, Any]:
    return {
        "key": workflow.key,
        "channels": list(workflow.channels),
        "categories": list(workflow.categories),
        "priority": workflow.priority.value,
        "active": workflow.active,
    }
