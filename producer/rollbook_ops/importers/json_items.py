"""The part of a JSON document that is one record, so that the record can be imported alone."""

from __future__ import annotations

import re
from typing import Any, Final

_STEP: Final = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")


def item_at(document: Any, path: str) -> Any:
    """Return the record at `path`, such as `entries[3]`; for one of `user_ids`, a bulk body for that id alone."""
    item, holder, name = document, None, ""
    for key, index in _STEP.findall(path):
        if key:
            holder, name, item = item, key, item[key]
        else:
            item = item[int(index)]
    if name == "user_ids" and isinstance(holder, dict):
        return {**holder, "user_ids": [item]}
    return item
