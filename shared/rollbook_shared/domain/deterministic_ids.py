"""The ids of activities and messages, derived from the job and the id as addressed, so that applying a trigger again
makes no second row.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final
from uuid import UUID

_NAMESPACE: Final = UUID("6f0d5b0e-3d5c-5f0e-9f53-6b1d1c0f7a11").bytes
_VARIABLE_BITS: Final = ~(0xF000 << 64 | 0xC000 << 48)
_VERSION_AND_VARIANT: Final = 0x5000 << 64 | 0x8000 << 48
_IS_SAFE: Final = UUID(int=0).is_safe
_new: Final = object.__new__
_set: Final = object.__setattr__


def activity_id(job_id: str, recipient: str) -> UUID:
    """The activity of one recipient, as addressed, of one trigger."""
    return _uuid5(f"{job_id}/{recipient}")


def message_id(job_id: str, recipient: str, channel: str) -> UUID:
    """The message to one recipient, as addressed, on one channel; a user id holds no `/`, so no two triples collide."""
    return _uuid5(f"{job_id}/{recipient}/{channel}")


def _uuid5(name: str) -> UUID:
    """`uuid.uuid5` in our namespace, in half of the time: a trigger needs one for each activity and message."""
    digest = sha1(_NAMESPACE + name.encode()).digest()
    id_ = _new(UUID)  # its `__init__` looks for mistakes that are not possible here
    _set(id_, "int", int.from_bytes(digest[:16]) & _VARIABLE_BITS | _VERSION_AND_VARIANT)
    _set(id_, "is_safe", _IS_SAFE)
    return id_
