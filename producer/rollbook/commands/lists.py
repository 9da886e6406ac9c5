"""Lists as callers give them: any iterable, but neither text nor a mapping, whose items would be letters or keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from rollbook_shared.errors import Problem


def as_list(
    problems: list[Problem], value: object, field: str, *, limit: int, what: str, least: int = 1
) -> tuple[Any, ...]:
    """The items, at most `limit`; adds a problem when there are fewer than `least`, or more."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        problems.append(Problem(field, f"must be a list of {what}"))
        return ()
    items = tuple(islice(value, limit + 1))
    if not least <= len(items) <= limit:
        problems.append(Problem(field, f"must hold {least} to {limit} {what}"))
    return items[:limit]
