"""Shows what a merge would do, so that a person can decide on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table

from rollbook_ops.cli.output import cell, counted, out, shown

if TYPE_CHECKING:
    from rollbook import MergePreview

Path = tuple[str, ...]


def show(preview: MergePreview) -> None:
    """Print the user afterwards and where each value comes from, then what would be given up, added and moved."""
    print_line(f"[bold]{_effect(preview)}[/]")
    if preview.effect == "merge":
        out.print(_afterwards(preview))
        if preview.conflicts:
            out.print(_given_up(preview))
        for line in _also(preview):
            print_line(line)
    print_line("[dim]Nothing was written; this was a dry run.[/]")


def print_line(line: str) -> None:
    out.print(line, highlight=False, soft_wrap=True)


def _effect(preview: MergePreview) -> str:
    primary, secondary = shown(preview.primary_id), shown(preview.secondary_id)
    match preview.effect:
        case "merge":
            return f"{secondary} becomes part of {primary}, and its id stands for {primary} from then on."
        case "redirect":
            return f"{secondary} is not known. Its id would stand for {primary} from then on; nothing else changes."
        case "nothing":
            return f"Nothing would change: {secondary} is merged away already, or both are one."


def _afterwards(preview: MergePreview) -> Table:
    table = Table("", "value", "from", title=f"{shown(preview.primary_id)} afterwards", title_justify="left")
    table.columns[1].overflow = "fold"
    taken = {(item.section, *item.path) for item in preview.filled}
    everything = {"attributes": preview.attributes, "properties": preview.properties}
    mixed = {whole[:end] for whole in taken for end in range(len(whole))}
    for path, value in _leaves(everything, (), mixed):
        is_taken = path in taken
        origin = f"[green]{shown(preview.secondary_id)}[/]" if is_taken else shown(preview.primary_id)
        table.add_row(shown(_name(path)), cell(value), origin)
    return table


def _leaves(value: dict[str, Any] | Any, path: Path, mixed: set[Path]) -> Iterator[tuple[Path, Any]]:
    """Each value with its path; an object is taken apart only where it comes from both users."""
    for key in value:
        here = (*path, key)
        if here in mixed or here in (("attributes",), ("properties",)):
            yield from _leaves(value[key], here, mixed)
        else:
            yield here, value[key]


def _given_up(preview: MergePreview) -> Table:
    kept, lost = f"kept, of {shown(preview.primary_id)}", f"lost, of {shown(preview.secondary_id)}"
    table = Table("", kept, lost, title="Where both have a value", title_justify="left")
    for clash in preview.conflicts:
        table.add_row(shown(_name((clash.section, *clash.path))), cell(clash.winner), cell(clash.loser))
    return table


def _also(preview: MergePreview) -> Iterator[str]:
    if preview.preference_sets_added:
        yield f"Preference sets added: {shown(', '.join(preview.preference_sets_added))}"
    if preview.channels_added:
        yield f"Channels added: {shown(', '.join(preview.channels_added))}"
    moved = f"{counted(preview.messages, 'message')} and {counted(preview.activities, 'activity')}"
    yield f"History that moves: {moved}."


def _name(path: Path) -> str:
    return ".".join(path[1:] if path[0] == "attributes" else path)
