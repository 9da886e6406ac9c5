"""Which database the queues in Redis belong to.

Workers of two databases on the same queues would share the jobs: each database would get some of them, all would be
acknowledged, and no job would be missing in Redis. So the first worker notes the id of its database, the *store id*,
beside the queues, and workers, relays and maintenance of another database stop there.
"""

from __future__ import annotations

from typing import Any, Final

OWNER_KEY: Final = "rollbook.store"
"""The key in Redis that has the store id of the database to which the queues belong."""
_SHOWN: Final = 8
"""Characters of an id that are enough to distinguish two databases."""


def find_owner(client: Any) -> str | None:
    """The store id beside the queues; None if no worker has noted one. Raises the errors of the redis-py client."""
    found: bytes | None = client.get(OWNER_KEY)
    return None if found is None else found.decode(errors="replace")


def describe_foreign_owner(owner: str, store_id: str) -> str:
    """One sentence: what was found, and what to do."""
    return (
        f"the queues in Redis belong to another database (store {owner[:_SHOWN]}, this one is {store_id[:_SHOWN]}); "
        "give each database a Redis database of its own, or take the queues over with `rollbook broker adopt`"
    )
