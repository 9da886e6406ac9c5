"""What can be set of how a channel holds messages, in Celery's `broker_transport_options` under these names."""

from __future__ import annotations

from typing import Final


class Limits:
    """Each with the value it has unless it is set."""

    lease: float = 30.0
    """Seconds after which a worker that has not renewed is taken for gone. Why so long: see the package."""
    longest_hold: float = 900.0
    """Seconds after which a message is left to others although its worker lives."""
    max_deliveries: int = 5
    """After so many deliveries that came to nothing a message is dead; 0: never."""
    claim_limit: int = 200
    """Messages in one claim: about 2 ms of Redis' time, and its answer about 200 KB."""
    claim_bytes: int = 4_000_000
    """Bytes after which a claim takes no further message, and a sweep puts none back: about 50 ms of Redis' time. Much
    more, and Redis would not answer within `socket_timeout`; what was claimed then waits for its lease to end."""
    hold_bytes: int = 64_000_000
    """Bytes in hand with which no more is claimed: 200 bulk jobs may be gigabytes, and a worker's memory is not."""
    dead_task: str = "rollbook.dead_letter"
    """The task that keeps dead letters; it is given the message, the reason and a code."""
    dead_key: str = "dead_letters"
    """The list of letters that this task could not keep, which should be empty."""


OPTIONS: Final = tuple(Limits.__annotations__)
"""The names of them all."""
