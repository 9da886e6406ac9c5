"""A page of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from rollbook.models.model import Model

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Model, Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    """The items in the order of the list: as many as the call's `limit`, fewer on the last page. A list that had to
    pass over many items that do not match may have a shorter page before it, so go on while `after` is not None."""
    after: str | None
    """Pass it as `after` to read the next page; None on the last page."""
    before: str | None = None
    """Where a list can be read backwards: pass it as `before` to read the previous page; None on the first page."""
