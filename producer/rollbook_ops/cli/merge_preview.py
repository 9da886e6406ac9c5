"""Prints what a merge would do, so that a person can decide on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table

from rollbook_ops.cli.output import escape_text, format_cell, out
from rollbook_ops.formatting import format_count

if TYPE_CHECKING:
    from rollbook import MergePreview

KeyPath = tuple[str, ...]


def print_preview(preview: MergePreview) -> None:
    """Print the merged user with the origin of each value, the conflicts, and what would be added and moved."""
    _print_line(f"[bold]{_summary(preview)}[/]")
    if preview.effect == "merge":
        out.print(_merged_user_table(preview))
        if preview.conflicts:
            out.print(_conflict_table(preview))
        for line in _additions(preview):
            _print_line(line)
    _print_line("[dim]Nothing was written; this was a dry run.[/]")


def _print_line(line: str) -> None:
    out.print(line, highlight=False, soft_wrap=True)


def _summary(preview: MergePreview) -> str:
    primary, secondary = escape_text(preview.primary_id), escape_text(preview.secondary_id)
    match preview.effect:
        case "merge":
            return f"{secondary} becomes part of {primary}; from then on its id stands for {primary}."
        case "redirect":
            return f"{secondary} is not known. Its id would stand for {primary} from then on; nothing else changes."
        case "nothing":
            return f"Nothing would change: {secondary} is already merged, or both ids are the same user."


def _merged_user_table(preview: MergePreview) -> Table:
    title = f"{escape_text(preview.primary_id)} after the merge"
    table = Table("", "value", "from", title=title, title_justify="left")
    table.columns[1].overflow = "fold"
    filled = {(item.section, *item.path) for item in preview.filled}
    everything = {"attributes": preview.attributes, "properties": preview.properties}
    mixed = {path[:end] for path in filled for end in range(len(path))}
    for path, value in _leaves(everything, (), mixed):
        is_filled = path in filled
        origin = f"[green]{escape_text(preview.secondary_id)}[/]" if is_filled else escape_text(preview.primary_id)
        table.add_row(escape_text(_field_name(path)), format_cell(value), origin)
    return table


def _leaves(value: dict[str, Any] | Any, path: KeyPath, mixed: set[KeyPath]) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each value with its path. An object is split only where its values come from both users."""
    for key in value:
        here = (*path, key)
        if here in mixed or here in (("attributes",), ("properties",)):
            yield from _leaves(value[key], here, mixed)
        else:
            yield here, value[key]


def _conflict_table(preview: MergePreview) -> Table:
    kept, lost = f"kept, from {escape_text(preview.primary_id)}", f"lost, from {escape_text(preview.secondary_id)}"
    table = Table("", kept, lost, title="Where both have a value", title_justify="left")
    for conflict in preview.conflicts:
        name = _field_name((conflict.section, *conflict.path))
        table.add_row(escape_text(name), format_cell(conflict.winner), format_cell(conflict.loser))
    return table


def _additions(preview: MergePreview) -> Iterator[str]:
    if preview.preference_sets_added:
        yield f"Preference sets added: {escape_text(', '.join(preview.preference_sets_added))}"
    if preview.channels_added:
        yield f"Channels added: {escape_text(', '.join(preview.channels_added))}"
    moved = f"{format_count(preview.messages, 'message')} and {format_count(preview.activities, 'activity')}"
    yield f"History that moves: {moved}."


def _field_name(path: KeyPath) -> str:
    return ".".join(path[1:] if path[0] == "attributes" else path)
