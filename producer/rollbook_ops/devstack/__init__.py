"""Local servers without Docker, and child processes that do not outlive us."""

from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.servers import Servers

__all__ = ["ServerFailed", "Servers"]
