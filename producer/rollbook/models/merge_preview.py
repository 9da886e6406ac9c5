"""The preview of a merge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rollbook.models.model import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class Conflict(Model):
    """A value of the secondary that the merge would give up, because the primary has a different one."""

    section: Literal["attributes", "properties", "preferences", "channel_data"]
    """Where the value is. Preference sets and channels are compared whole."""
    path: tuple[str, ...]
    """The keys that lead to the value, outermost first: `("address", "city")`."""
    winner: Any
    """The value after the merge: the primary's, or what `keep_opt_outs` or `merge_tokens` makes of both."""
    loser: Any
    """The secondary's value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilledValue(Model):
    """A value of the secondary that the primary would take over, because the primary has none in its place."""

    section: Literal["attributes", "properties"]
    """Where the value is."""
    path: tuple[str, ...]
    """The keys that lead to the value, outermost first: `("address", "zip")`."""
    value: Any
    """The secondary's value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MergePreview(Model):
    """What a merge would do if it were applied now. The preview writes nothing."""

    primary_id: str
    """The user that would remain: the primary of the call, or the user that the primary was itself merged into."""
    secondary_id: str
    """The user that would cease to exist."""
    effect: Literal["merge", "redirect", "nothing"]
    """`merge`: the secondary becomes part of the primary. `redirect`: the secondary is not known, and its id would
    stand for the primary from then on. `nothing`: the secondary is merged away already, or is the primary itself.
    """
    attributes: Mapping[str, Any]
    """The primary's attributes after the merge, without those that are null."""
    properties: Mapping[str, Any]
    """The primary's properties after the merge."""
    filled: tuple[FilledValue, ...]
    """The values in `attributes` and `properties` that come from the secondary. All others are the primary's own."""
    conflicts: tuple[Conflict, ...]
    """The secondary's values that would be given up."""
    preference_sets_added: tuple[str, ...]
    """The ids of the preference sets that only the secondary has."""
    channels_added: tuple[str, ...]
    """The ids of the channels for which only the secondary has channel data."""
    messages: int
    """How many messages would move from the secondary's feed to the primary's."""
    activities: int
    """How many activities with the secondary as recipient would move."""
