"""Which migration this version needs, for those who must not import the migrations. A test compares the two."""

from __future__ import annotations

from typing import Final

NEWEST_MIGRATION: Final = "0001"
