"""What erasure and retention do to the tables of the console: its audit, and what has expired."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Final

from psycopg import Cursor

from rollbook_shared.database.statements import load
from rollbook_shared.domain.stamps import Stamp, occurred_at_of

_SQL: Final = load(__package__, "console")


def erase_from_audit(cursor: Cursor, erased: Mapping[str, Stamp], *, delay: int) -> Counter[str]:
    """Take erased users out of the rows of the audit that were written up to `delay` (in microseconds) after their
    deletes; return how many rows named each. That something was done stays, with who did it.
    """
    users = [{"id": id_, "arrived_until": occurred_at_of(stamp) + delay} for id_, stamp in erased.items()]
    cursor.execute(_SQL["erase_from_audit"], {"erased": json.dumps(users)})
    return Counter(id_ for (id_,) in cursor)


def prune_console(cursor: Cursor, *, horizon: int, now: int, limit: int) -> int:
    """Delete `limit` rows of the audit from before `horizon`, and all sessions and links that have expired; return how
    many rows of the audit. Both times are in microseconds since 1970.
    """
    cursor.execute(_SQL["prune_sessions"], {"now": now})
    cursor.execute(_SQL["prune_login_tokens"], {"now": now})
    return cursor.execute(_SQL["prune_audit"], {"horizon": horizon, "limit": limit}).rowcount
