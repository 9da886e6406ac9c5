"""The preferences of a user as tables: workflows and categories by channel type, with what applies and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from rollbook import ExplainedValue
from rollbook_shared.registry import Registry

MOST_ROWS: Final = 60
"""Of a table: a product has some dozens of workflows and categories."""
_DEFAULT_SET: Final = "default"
_IN_APP: Final = "in_app"


class MatrixSetting(NamedTuple):
    """One setting of a set, and where it comes from."""

    path: tuple[str, ...]
    value: Any
    source: ExplainedValue


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What applies to the messages of a row on a channel."""

    is_on: bool
    setting: MatrixSetting | None
    """What decided: the first setting that is off, otherwise the nearest that is on; None: nothing is set."""

    @property
    def why(self) -> str:
        """In words."""
        return "nothing set" if self.setting is None else " / ".join(self.setting.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """A workflow or a category."""

    kind: str
    key: str
    categories: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """One preference set."""

    set_id: str
    channels: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    left_out: int
    """Rows that are not shown."""


def matrices(preferences: Iterable[ExplainedValue], registry: Registry) -> list[Matrix]:
    """A table for each preference set, `default` first; also for a user without any set."""
    by_set: dict[str, list[ExplainedValue]] = {_DEFAULT_SET: []}
    for value in preferences:
        by_set.setdefault(value.path[0], []).append(value)
    return [_matrix(set_id, values, registry) for set_id, values in by_set.items()]


def _matrix(set_id: str, values: Sequence[ExplainedValue], registry: Registry) -> Matrix:
    settings = dict(_settings(values))
    channels = {_IN_APP: None, **dict.fromkeys(channel.type for channel in registry.channels.values())}
    channels |= dict.fromkeys(path[-1] for path in settings if "channel_types" in (path[0], path[-2]))
    registered = registry.workflows or {}
    workflows = dict.fromkeys([*registered, *(path[1] for path in settings if path[0] == "workflows")])
    categories = dict.fromkeys(
        [
            *(category for workflow in registered.values() for category in workflow.categories),
            *(path[1] for path in settings if path[0] == "categories"),
        ]
    )
    named: list[tuple[str, str, tuple[str, ...]]] = [("category", key, (key,)) for key in categories]
    named += [("workflow", key, registered[key].categories if key in registered else ()) for key in workflows]
    rows = tuple(
        MatrixRow(
            kind=kind,
            key=key,
            categories=of if kind == "workflow" else (),
            cells=tuple(_cell(settings, channel, key if kind == "workflow" else None, of) for channel in channels),
        )
        for kind, key, of in named[:MOST_ROWS]
    )
    return Matrix(set_id=set_id, channels=tuple(channels), rows=rows, left_out=max(len(named) - MOST_ROWS, 0))


def _settings(values: Iterable[ExplainedValue]) -> Iterator[tuple[tuple[str, ...], MatrixSetting]]:
    """Each setting that is on or off, by its path below the set."""
    for value in values:
        for path, is_on in _leaves(value.value, value.path[1:]):
            yield path, MatrixSetting(path, is_on, value)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    else:
        yield path, value


def _cell(
    settings: dict[tuple[str, ...], MatrixSetting], channel: str, workflow: str | None, categories: Iterable[str]
) -> Cell:
    named = [] if workflow is None else [("workflows", workflow)]
    named += [("categories", category) for category in categories]
    paths = [path for one in named for path in ((*one, "channel_types", channel), one)]
    applying = [settings[path] for path in (*paths, ("channel_types", channel)) if path in settings]
    stopping = [setting for setting in applying if setting.value is False]
    return Cell(is_on=not stopping, setting=next(iter([*stopping, *applying]), None))
