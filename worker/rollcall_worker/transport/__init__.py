"""Our transport."""

from rollcall_worker.transport.connection import Connection

__all__ = ["Connection"]
