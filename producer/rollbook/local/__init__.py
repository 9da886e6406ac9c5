"""Local servers without Docker, and child processes that do not outlive us."""

from rollbook.local.errors import ServerFailed
from rollbook.local.servers import Servers

__all__ = ["ServerFailed", "Servers"]
