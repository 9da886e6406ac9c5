"""The ids of activities and messages, derived from the job and the id as addressed, so that applying a trigger again
makes no second row.
"""

from __future__ import annotations

import uuid
from typing import Final

_NAMESPACE: Final = uuid.UUID("6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11")


def activity_id(job_id: str, recipient: str) -> uuid.UUID:
    """The activity of one recipient, as addressed, of one trigger."""
    return uuid.uuid5(_NAMESPACE, f"{job_id}/{recipient}")


def message_id(job_id: str, recipient: str, channel: str) -> uuid.UUID:
    """The message to one recipient, as addressed, on one channel; a user id holds no `/`, so no two triples collide."""
    return uuid.uuid5(_NAMESPACE, f"{job_id}/{recipient}/{channel}")
