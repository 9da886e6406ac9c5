"""Which messages to read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageFilter:
    """Which messages of a user to read: those that match everything that is given.

    rb.feeds.list("ann", where=MessageFilter(workflow="comment", tenant="acme"))
    """

    workflow: str | None = None
    """Of this workflow."""
    categories: Collection[str] = ()
    """Of workflows in at least one of these categories."""
    tenant: str | None = None
    """On behalf of this tenant."""
    has_tenant: bool | None = None
    """True: on behalf of any tenant. False: of none."""
    data: Mapping[str, Any] | None = None
    """Whose data contains this, as Postgres' `@>` has it: objects by their keys, lists by their elements."""
    job_id: str | None = None
    """Of the trigger that had this job id."""
    since: datetime | None = None
    """That occurred at this aware time or later."""
    until: datetime | None = None
    """That occurred before this aware time."""
