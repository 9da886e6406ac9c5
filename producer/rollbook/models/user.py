"""A user, as reads return it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollbook.models.model import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class User(Model):
    """A user, with all jobs that the workers have applied so far.

    `id` is the application's own. The attributes `email`, `name`, `avatar` (a URL), `phone_number` (E.164), `locale`
    (`de-CH`) and `timezone` (an IANA name) hold what the application sent; None: it sent nothing, or null.
    """

    id: str
    email: str | None = None
    name: str | None = None
    avatar: str | None = None
    phone_number: str | None = None
    locale: str | None = None
    timezone: str | None = None
    created_at: datetime | None = None
    """When the application created the user, as the application sent it: aware, with the offset that was sent."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """All other keys that the application sent, with their JSON values as Postgres' `jsonb` keeps them."""
    updated_at: datetime
    """When the newest change happened: aware, in UTC. The job's `occurred_at`, not the time at which it was applied."""
