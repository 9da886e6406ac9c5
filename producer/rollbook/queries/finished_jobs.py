"""Asks which of many jobs Rollbook has decided, in one question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeVar

from sqlalchemy import ARRAY, Text, any_, bindparam, false, select, true, union_all

from rollbook.queries.connections import Database
from rollbook_shared.database.tables import dead_letters, jobs
from rollbook_shared.jobs.codec import text_digest

Key = TypeVar("Key", bound=tuple[str, bytes])
_IDS: Final = bindparam("ids", type_=ARRAY(Text))
_DECIDED: Final = union_all(
    select(jobs.c.id, jobs.c.digest, false().label("is_letter")).where(jobs.c.id == any_(_IDS)),
    select(dead_letters.c.id, dead_letters.c.digest, true()).where(dead_letters.c.id == any_(_IDS)),
)


class Decisions:
    """Knows which jobs are applied, rejected, deferred or dead: nothing is gained by sending them again."""

    def __init__(self, database_url: str) -> None:
        self._database = Database(database_url)

    def among(self, keys: Collection[Key], read: Callable[[Collection[Key]], Mapping[Key, str]]) -> set[Key]:
        """Those of the `(job id, digest)` that are decided.

        `read` gives the bodies of some: a message that workers could not read is known by its text, and a letter of
        another job, which once came under the same id, decides nothing.

        Raises:
            Unavailable: Rollbook's database could not be reached.
            NotConfigured: it has no tables of Rollbook.
        """
        with self._database.connect() as connection:
            found = connection.execute(_DECIDED, {"ids": [id_ for id_, _ in keys]}).all()
        known = {(id_, bytes(digest)) for id_, digest, _ in found}
        with_letters = {id_ for id_, _, is_letter in found if is_letter}
        decided = {key for key in keys if tuple(key) in known}
        if doubtful := [key for key in keys if key not in decided and key[0] in with_letters]:
            decided |= {key for key, body in read(doubtful).items() if (key[0], text_digest(body)) in known}
        return decided

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
