"""What a change of single keys makes of a preference set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def update_settings(settings: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings with the changes: each key of `workflows`, `categories` and `channel_types` is replaced whole, and
    removed by a None. A section that has no key left is removed.

    A user without the set (None) gets it with the first value; removing keys creates no set.
    """
    updated = dict(settings or {})
    for section, values in changes.items():
        keys = {key: value for key, value in {**updated.pop(section, {}), **values}.items() if value is not None}
        if keys:
            updated[section] = keys
    return updated if updated or settings is not None else None
