"""What goes wrong with local servers."""

from __future__ import annotations

from rollcall_shared.errors import RollcallError


class ServerFailed(RollcallError):
    """A local server could not be found, started or reached; the message says what to do."""
