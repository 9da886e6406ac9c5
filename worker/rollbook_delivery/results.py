"""What became of an attempt to hand a message over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """It was handed over."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """It was handed over, and the recipient's side has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """It was not handed over, or nothing says that it was."""

    reason: str
    """A few words for people and metrics' readers: never an address, and nothing of the message or of an answer."""
    retry_after: float | None = None
    """Seconds that the other side asks to wait; None: the backoff decides."""
    permanent: bool = False
    """Trying again would fail in the same way."""
    outage: bool = False
    """All messages of the channel would fail now: the server is away, or rejects us and not this message."""
    stops: bool = False
    """The other side wants no more messages of the channel."""


@dataclass(frozen=True, slots=True)
class TokenGone:
    """The recipient's token is no longer valid."""

    token: str


Result = Sent | Delivered | Failed | TokenGone
