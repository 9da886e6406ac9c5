"""What goes wrong with local servers."""

from __future__ import annotations

from rollbook_shared.errors import RollbookError


class ServerFailed(RollbookError):
    """A local server could not be found, started or reached; the message says what to do."""
