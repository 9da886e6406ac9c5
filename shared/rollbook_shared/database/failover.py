"""What a connection finds when Postgres has failed over: a server that only reads, or an old primary that came back.

A replica that was promoted begins a timeline of its own. A server on an earlier timeline of the same cluster is an old
primary that does not know of the promotion: what it accepts will be lost. So a process that has seen a timeline writes
to no earlier one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg import errors

from rollbook_shared.database.statements import load
from rollbook_shared.errors import Unavailable

# what a replica says to BEGIN READ WRITE, and a primary that has become one to a write
READ_ONLY_ERRORS: Final = (errors.FeatureNotSupported, errors.ReadOnlySqlTransaction)
_PRIMARY: Final = ("read-write", "primary")
_KEPT_BACK: Final = (errors.InsufficientPrivilege, errors.UndefinedFunction, errors.FeatureNotSupported)
"""What Postgres services answer that keep their files to themselves."""
_SQL: Final = load(__package__, "failover")


class OldPrimary(Unavailable):
    """The server is on an earlier timeline than one that was seen at this URL."""

    def __init__(self, timeline: int, newest: int) -> None:
        super().__init__(
            f"this Postgres is an old primary (timeline {timeline}): another one was promoted since "
            f"(timeline {newest}); stop the old one, and let it follow"
        )


def looks_for_primary(parameters: Mapping[str, Any]) -> bool:
    """Whether the URL asks for a server that can write, so that one that cannot has just failed over."""
    return parameters.get("target_session_attrs") in _PRIMARY


class NewestTimeline:
    """The newest timeline that was seen of each cluster to which one URL has led. Threads may share it."""

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}
        """By the identifier of the cluster. Clusters copied from one another share it, so no other URL's are here."""
        self._lock = threading.Lock()

    def require(self, connection: psycopg.Connection[Any]) -> None:
        """Note the timeline of the connection's server, within a transaction.

        Raises:
            OldPrimary: a newer one was seen.
            psycopg.Error: the server failed.
        """
        found = None
        with contextlib.suppress(*_KEPT_BACK), connection.transaction():
            found = connection.execute(_SQL["timeline"]).fetchone()
        if found is None or found[1] is None:  # a replica
            return
        cluster, timeline = found
        with self._lock:
            newest = self._newest[cluster] = max(timeline, self._newest.get(cluster, 0))
        if timeline < newest:
            raise OldPrimary(timeline, newest)
