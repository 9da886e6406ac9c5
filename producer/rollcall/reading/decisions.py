"""Asks which of many jobs Rollcall has decided, in one question."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import ARRAY, Text, any_, bindparam, false, select, union_all

from rollcall.reading.database import Database
from rollcall_shared.tables import dead_letters, jobs

_IDS: Final = bindparam("ids", type_=ARRAY(Text))
# A message that could not be read has no digest of a job; its dead letter decides whatever came under its id.
_DECIDED: Final = union_all(
    select(jobs.c.id, jobs.c.digest, false().label("whatever")).where(jobs.c.id == any_(_IDS)),
    select(dead_letters.c.id, dead_letters.c.digest, dead_letters.c.code != "id_reused").where(
        dead_letters.c.id == any_(_IDS)
    ),
)


class Decisions:
    """Knows which jobs are applied, refused, deferred or dead: nothing is gained by sending them again."""

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)

    def among(self, keys: Collection[tuple[str, bytes]]) -> set[tuple[str, bytes]]:
        """Those of the `(job id, digest)` that are decided.

        Raises:
            Unavailable: Rollcall's database could not be reached.
            NotConfigured: it has no tables of Rollcall.
        """
        with self._database.connect() as connection:
            found = connection.execute(_DECIDED, {"ids": [id_ for id_, _ in keys]}).all()
        decided = {(id_, bytes(digest)) for id_, digest, _ in found}
        whatever = {id_ for id_, _, is_broken in found if is_broken}
        return {key for key in keys if tuple(key) in decided or key[0] in whatever}

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
