"""Jobs as rows of the application's own transactions: written with its data, relayed after its commit."""

from rollcall.outbox.sender import OutboxSender
from rollcall.outbox.table import CREATE_TABLE, DROP_TABLE, create_table, drop_table

__all__ = ["CREATE_TABLE", "DROP_TABLE", "OutboxSender", "create_table", "drop_table"]
