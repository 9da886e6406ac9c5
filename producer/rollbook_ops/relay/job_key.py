"""What identifies a job in an outbox and in Rollbook's database."""

from __future__ import annotations

from typing import NamedTuple


class JobKey(NamedTuple):
    """Identifies a job: another job under the same id has another digest."""

    id: str
    digest: bytes
