"""Activities and their actors, as reads return them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

from rollbook.models.model import Model

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

ActivityRole = Literal["recipient", "actor"]
"""How a user takes part in an activity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor(Model):
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

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """For web frameworks that make JSON of the models by themselves, such as FastAPI: the same JSON."""
        from pydantic_core import core_schema as schema

        text = schema.typed_dict_field(schema.nullable_schema(schema.str_schema()), required=False)
        missing = schema.typed_dict_field(schema.bool_schema(), required=False)
        identity = schema.typed_dict_field(schema.nullable_schema(schema.str_schema()))
        shape = schema.typed_dict_schema({"id": identity, "name": text, "avatar": text, "missing": missing})
        actor = handler(source)
        serialization = schema.plain_serializer_function_ser_schema(cls.as_dict, return_schema=shape)
        return cast("CoreSchema", {**actor, "serialization": serialization})


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity(Model):
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
