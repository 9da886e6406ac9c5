"""Dead letters, as reads return them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from rollbook.models.model import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter(Model):
    """A job that cannot be applied as it stands, kept until a person replays or drops it."""

    id: str
    """The job's id. A message that has none is named for its content (`unidentified-...`)."""
    key: str
    """Distinguishes dead letters of one id: several different jobs may have been sent under it."""
    kind: str | None
    """The job's kind; None if the message does not say it."""
    code: str
    """Why, for programs: one of `DeadLetterCode`, which says what to do about each. A later version may have others."""
    reason: str
    """Why, for people: fields and positions, no values."""
    failed_at: datetime
    """When the worker gave it up: aware."""
    body: str | None = field(default=None, repr=False)
    """The message as it arrived, with its personal data; None in lists."""
