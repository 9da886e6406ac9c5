"""The Lua scripts, a file for each thing that must happen as one in Redis."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name by which Redis knows it once it has seen it."""

    text: str
    sha: str


def load(name: str) -> Script:
    """The script of one file, after what all of them share."""
    folder = resources.files(__package__)
    text = "".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("message", name))
    return Script(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
