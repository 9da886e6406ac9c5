"""How much one message may take to render, whatever its template and its data are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FILE_BYTES: Final = 256 * 1024
"""Of one file. A longer one is no template."""
FILES: Final = 10_000
"""In the folder."""
HEADING_CHARACTERS: Final = 250
"""Of a subject and a title. A longer one is shortened: mail servers refuse lines of more than 998 bytes."""
URL_CHARACTERS: Final = 2_000
"""Of an `action_url`. A longer one is an error: shortened it would lead elsewhere."""
ITEMS: Final = 10_000
"""Of a list that a filter takes or gives, and of a range."""
BLOCKS: Final = 30
"""How deep blocks, and partials within partials, may be nested."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderBounds:
    """Bounds of one message, all its parts together where it says so."""

    characters: int = 1_048_576
    """Of each part that is rendered, and of a text that a filter takes or gives."""
    iterations: int = 100_000
    """Of all loops of all parts; loops within loops are counted each time."""
    namespace: int = 4_194_304
    """Of the values that `assign` and `capture` keep: characters, and 64 for each value and each item of a list."""
    cpu_seconds: float = 1.0
    """Of the thread that renders, for all parts. Not of the clock: a busy machine makes no message undeliverable."""
