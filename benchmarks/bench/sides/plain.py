"""What all yardsticks have in common: the plain table, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.bench.people import KNOWN, Person, traits
from benchmarks.bench.sides.side import Side
from benchmarks.bench.yardsticks import table


class PlainSide(Side):
    """A side whose workers write to the plain table."""

    _visit: int = 0

    def make_database(self) -> str:
        url = self.ground.new_schema(self.name)
        table.create(url, known=self.known, prefix=KNOWN, data=traits(0, 0))
        return url

    def environment(self) -> Mapping[str, str]:
        return {table.BROKER: self.broker_url, table.DATABASE: self.database_url}

    def stage(self, people: Sequence[Person]) -> None:
        self._visit = people[0].traits["visit"]
        self.stage_jobs(people)

    def stage_jobs(self, people: Sequence[Person]) -> None:
        """Send to the waiting room."""
        raise NotImplementedError

    def applied(self) -> int:
        row = self.connection.execute(
            "SELECT count(*) FROM users WHERE data ->> 'visit' = %s", [str(self._visit)]
        ).fetchone()
        return int(row[0]) if row else 0

    def visit_of(self, user_id: str) -> int | None:
        row = self.connection.execute(
            "SELECT (data ->> 'visit')::integer FROM users WHERE id = %s", [user_id]
        ).fetchone()
        return row[0] if row else None
