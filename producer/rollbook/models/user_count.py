"""How many users there are, as `users.count` returns it."""

from __future__ import annotations

from dataclasses import dataclass

from rollbook.models.model import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class UserCount(Model):
    """A number of users: exact, or an estimate."""

    value: int
    """The number."""
    is_exact: bool
    """False: an estimate, because more than 10,000 users would have had to be looked at."""
