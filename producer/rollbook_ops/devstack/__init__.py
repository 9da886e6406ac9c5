"""Local servers without Docker, and child processes that end with this process."""

from rollbook_ops.devstack.errors import ServerFailed
from rollbook_ops.devstack.servers import Servers

__all__ = ["ServerFailed", "Servers"]
