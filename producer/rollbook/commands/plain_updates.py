"""User updates that need no closer look: checked in one pass and encoded once.

Nearly all calls give such a user. pydantic would call a function for each field, and its result be copied, measured and
encoded one after the other. Here the encoder's own strictness checks the texts and the keys, and the text that it
returns is what is measured, sent, and read back where an object is needed: nothing of the caller's is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rollbook_shared.domain.mistaken_ids import mistake_in_id
from rollbook_shared.jobs.fields import are_plain_traits, is_plain_id
from rollbook_shared.jobs.models import user_of_fields
from rollbook_shared.json_values import decode_json, encode_common
from rollbook_shared.limits import MistakenIds

if TYPE_CHECKING:
    from rollbook_shared.jobs import UserUpdate
    from rollbook_shared.limits import Limits

_REJECT: Final = MistakenIds.REJECT
"""Found faster here than in its class."""


def plain_update(user_id: object, traits: object, limits: Limits) -> UserUpdate | None:
    """The update, if it is certainly valid; None: validation decides, and says why not."""
    text = encode_plain_update(user_id, traits, limits)
    return None if text is None else user_of_fields(decode_json(text))


def encode_plain_update(user_id: object, traits: object, limits: Limits) -> bytes | None:
    """The same as `encode_user` encodes it."""
    if type(traits) is not dict or not is_plain_id(user_id):
        return None
    traits = dict(traits)  # another thread may add keys to the caller's
    if not are_plain_traits(traits):
        return None
    if limits.mistaken_ids == _REJECT and mistake_in_id(user_id):
        return None
    text = encode_common({"id": user_id, "traits": traits, "preferences": {}, "channel_data": {}})
    # nearly always the whole update is smaller than any part may be, and need not be taken apart
    if text is None or not (
        len(text) <= limits.max_properties_bytes
        and len(text) <= limits.max_data_bytes
        and len(text) <= limits.max_user_bytes
    ):
        return None
    return text
