"""What all baselines have in common: the plain table, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.bench.baselines import table
from benchmarks.bench.contenders.contender import Contender
from benchmarks.bench.users import KNOWN, UserRecord, traits


class PlainTableContender(Contender):
    """A contender whose workers write to the plain table."""

    _visit: int = 0

    def make_database(self) -> str:
        url = self.environment.new_schema(self.name)
        table.create(url, known=self.known, prefix=KNOWN, data=traits(0, 0))
        return url

    def variables(self) -> Mapping[str, str]:
        return {table.BROKER: self.broker_url, table.DATABASE: self.database_url}

    def stage(self, users: Sequence[UserRecord]) -> None:
        self._visit = users[0].traits["visit"]
        self.stage_jobs(users)

    def stage_jobs(self, users: Sequence[UserRecord]) -> None:
        """Send to the waiting room."""
        raise NotImplementedError

    def count_applied(self) -> int:
        row = self.connection.execute(
            "SELECT count(*) FROM users WHERE data ->> 'visit' = %s", [str(self._visit)]
        ).fetchone()
        return int(row[0]) if row else 0

    def read_visit(self, user_id: str) -> int | None:
        row = self.connection.execute(
            "SELECT (data ->> 'visit')::integer FROM users WHERE id = %s", [user_id]
        ).fetchone()
        return row[0] if row else None
