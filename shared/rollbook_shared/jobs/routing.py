"""Under which task and in which queue each kind of job travels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rollbook_shared.jobs.models import KINDS

DEFAULT_QUEUE: Final = "default"
"""Single writes and triggers, whose callers may wait for the effect."""
BULK_QUEUE: Final = "bulk"
"""Bulk jobs and imports, so that a large one never delays a sign-up."""
QUEUES: Final = (DEFAULT_QUEUE, BULK_QUEUE)

TASK_PREFIX: Final = "rollbook."

TASKS: Final[Mapping[str, str]] = MappingProxyType({kind: TASK_PREFIX + kind for kind in KINDS})
"""Kind -> name of the task that applies it."""


def queue_of(kind: str) -> str:
    """The queue that jobs of this kind travel in."""
    return BULK_QUEUE if kind.startswith("bulk_") else DEFAULT_QUEUE
