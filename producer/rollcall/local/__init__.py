"""Local servers without Docker, and child processes that do not outlive us."""

from rollcall.local.errors import ServerFailed
from rollcall.local.servers import Servers

__all__ = ["ServerFailed", "Servers"]
