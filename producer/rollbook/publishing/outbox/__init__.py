"""Jobs as rows of the application's own transactions: written with its data, relayed after its commit.

`rb.outbox(session)` writes them, `rollbook relay` sends them. Here is the table, for the application's own migrations:
`create_table(op.execute)` with Alembic, `RunSQL(list(CREATE_TABLE), list(DROP_TABLE))` with Django.
"""

from rollbook.publishing.outbox.publisher import OutboxPublisher
from rollbook.publishing.outbox.table import CREATE_TABLE, DROP_TABLE, create_table, drop_table

__all__ = ["CREATE_TABLE", "DROP_TABLE", "OutboxPublisher", "create_table", "drop_table"]
