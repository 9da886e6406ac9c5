"""What a merge makes of two users, as rows: both sides, the result, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from rollbook import MergePreview, User

_ABSENT: Final = object()
_ATTRIBUTES: Final = ("email", "name", "avatar", "phone_number", "locale", "timezone", "created_at")
_KINDS: Final = {"email": "email", "phone_number": "phone"}
Effect = Literal["conflict", "added", "both", "own", "same"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffRow:
    """One value. `own` is the primary's, `other` the secondary's; a side that has none is empty."""

    section: Literal["attributes", "properties", "preferences"]
    path: tuple[str, ...]
    kind: str
    """How it is masked: `email`, `phone` or `value`; preferences are not."""
    own: Any
    other: Any
    result: Any
    has_own: bool
    has_other: bool
    has_result: bool
    effect: Effect
    """`conflict`: the secondary's value is given up. `added`: it comes from the secondary. `both`: it is made of both.
    `same`, or `own`.
    """


def merge_diff(primary: User | None, secondary: User | None, preview: MergePreview) -> list[DiffRow]:
    """The rows: attributes, then properties, each nested value by itself where both sides have an object."""
    rows = [*_attributes(primary, secondary, preview), *_properties(primary, secondary, preview)]
    return sorted(rows, key=_importance)


def preferences_diff(primary: Mapping[str, Any], secondary: Mapping[str, Any], preview: MergePreview) -> list[DiffRow]:
    """The same of the settings of all preference sets, each by itself.

    primary: its sets, by their ids.
    secondary: its own.
    """
    shared = {conflict.path[0]: conflict.winner for conflict in preview.conflicts if conflict.section == "preferences"}
    sides = [dict(_settings(sets)) for sets in (primary, secondary, {**secondary, **primary, **shared})]
    paths = sorted({path for side in sides for path in side})
    rows = [_preference(path, *(side.get(path, _ABSENT) for side in sides)) for path in paths]
    return sorted(rows, key=_importance)


def _importance(row: DiffRow) -> int:
    return ("conflict", "added", "both", "own", "same").index(row.effect)


def _settings(sets: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in sets.items():
        if isinstance(value, Mapping):
            yield from _settings(value, (*path, key))
        else:
            yield (*path, key), value


def _preference(path: tuple[str, ...], own: Any, other: Any, result: Any) -> DiffRow:
    if _same(own, other):
        effect: Effect = "same"
    elif _same(result, own):
        effect = "own" if other is _ABSENT else "conflict"
    else:
        effect = "added" if _same(result, other) else "both"
    return _row("preferences", path, "value", own, other, result, effect)


def _attributes(primary: User | None, secondary: User | None, preview: MergePreview) -> Iterator[DiffRow]:
    for name in _ATTRIBUTES:
        own, other = (_text(getattr(side, name)) if side else None for side in (primary, secondary))
        if own is not None or other is not None:
            one, two = (_ABSENT if value is None else value for value in (own, other))
            result = preview.attributes.get(name, _ABSENT)
            yield _row("attributes", (name,), _KINDS.get(name, "value"), one, two, result, _effect(one, two))


def _properties(primary: User | None, secondary: User | None, preview: MergePreview) -> Iterator[DiffRow]:
    own = primary.properties if primary else {}
    other = secondary.properties if secondary else {}
    for path, one, two, result in _leaves(own, other, preview.properties, ()):
        yield _row("properties", path, "value", one, two, result, _effect(one, two))


def _leaves(
    own: Any, other: Any, result: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, Any, Any]]:
    sides = [side for side in (own, other, result) if side is not _ABSENT]
    if not path or (own is not _ABSENT and other is not _ABSENT and all(isinstance(side, Mapping) for side in sides)):
        keys = dict.fromkeys(key for side in (own, other) if isinstance(side, Mapping) for key in side)
        for key in sorted(keys):
            one, two, after = (
                side.get(key, _ABSENT) if isinstance(side, Mapping) else _ABSENT for side in (own, other, result)
            )
            yield from _leaves(one, two, after, (*path, key))
        return
    yield path, own, other, result


def _effect(own: Any, other: Any) -> Effect:
    if own is _ABSENT:
        return "added"
    if other is _ABSENT:
        return "own"
    return "same" if _same(own, other) else "conflict"


def _row(
    section: Literal["attributes", "properties", "preferences"],
    path: tuple[str, ...],
    kind: str,
    own: Any,
    other: Any,
    result: Any,
    effect: Effect,
) -> DiffRow:
    return DiffRow(
        section=section,
        path=path,
        kind=kind,
        own=None if own is _ABSENT else own,
        other=None if other is _ABSENT else other,
        result=None if result is _ABSENT else result,
        has_own=own is not _ABSENT,
        has_other=other is not _ABSENT,
        has_result=result is not _ABSENT,
        effect=effect,
    )


def _same(one: object, other: object) -> bool:
    if _ABSENT in (one, other):
        return one is other
    # as JSON: in Python, True equals 1
    return json.dumps(one, sort_keys=True, default=str) == json.dumps(other, sort_keys=True, default=str)


def _text(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return None if value is None else str(value)
