"""How much is kept of a user."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rollbook_shared.database.statements import load

if TYPE_CHECKING:
    from psycopg import Cursor

_USER_SIZES: Final = load(__package__, "user_sizes")


@dataclass(frozen=True, slots=True)
class UserSize:
    """How many bytes are kept of one user: of what was received under its own id, and under those that merges have
    joined with it.
    """

    root: str
    """The root of its identity cluster; its own id, if it has none."""
    size: int
    ids: frozenset[str]
    """Those of the ids that were asked for that belong to it."""


def find_sizes(cursor: Cursor, ids: Collection[str]) -> list[UserSize]:
    """How much is kept of the users of these ids, at most a few. Raises psycopg's errors."""
    cursor.execute(_USER_SIZES["select"], {"ids": sorted(ids)})
    return [UserSize(root, size, frozenset(own)) for root, size, own in cursor.fetchall()]
