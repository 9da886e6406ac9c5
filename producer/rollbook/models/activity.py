"""Activities and their actors, as reads return them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

ActivityRole = Literal["recipient", "actor"]
"""How a user takes part in an activity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who caused an activity: a user, or the marker for a missing user.

    The actor is missing (its `id` is None) if the user was deleted since, was not known when the trigger happened, or
    was merged away later than the merge's history window reaches. `name` and `avatar` (a URL) are the user's present
    ones.
    """

    id: str | None
    name: str | None = None
    avatar: str | None = None

    @property
    def missing(self) -> bool:
        """Whether no user has the actor's id now."""
        return self.id is None

    def as_dict(self) -> dict[str, Any]:
        """The actor as JSON; a missing actor is the marker `{"id": None, "missing": True}`."""
        if self.id is None:
            return {"id": None, "missing": True}
        return {"id": self.id, "name": self.name, "avatar": self.avatar}


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """One trigger, for one recipient. `workflow`, `data` and `tenant` are those of the trigger."""

    id: str
    """A UUID as text, the same however often the trigger is delivered."""
    workflow: str
    data: Mapping[str, Any]
    tenant: str | None
    occurred_at: datetime
    """When the trigger happened: aware, in UTC."""
    recipient: str
    """The user that the activity belongs to now. After a merge this may be another user than the trigger named."""
    actor: Actor | None
    """Who caused it; None if the trigger named no actor."""
