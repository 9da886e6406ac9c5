"""What experiments work with: the environment, the contenders, and the results."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial
from typing import Final

from benchmarks.bench.contenders import Contender
from benchmarks.bench.contenders.peers import Dramatiq, Taskiq
from benchmarks.bench.contenders.rollbook import RollbookBulk, RollbookSingle
from benchmarks.bench.contenders.stock_celery import StockCelery
from benchmarks.bench.drain import find_size
from benchmarks.bench.environment import Environment
from benchmarks.bench.figures import Figure
from benchmarks.bench.scale import Scale

OURS: Final = "rollbook"
LARGE: Final = "rollbook_large"
ONE: Final = "rollbook_one"
BULK_QUEUE: Final = "rollbook_bulk"
ORM: Final = ("celery_orm_2", "celery_orm_8")
UPSERT: Final = ("celery_upsert_2", "celery_upsert_8")

LABELS: Final = {
    OURS: "Rollbook, one identify a job (2 workers)",
    LARGE: "Rollbook, the same with the large table",
    ONE: "Rollbook, one default worker",
    BULK_QUEUE: "Rollbook, bulk jobs of 100 (1 worker)",
    "celery_orm_2": "stock Celery, ORM, 2 processes",
    "celery_orm_8": "stock Celery, ORM, 8 processes",
    "celery_upsert_2": "stock Celery, upsert, 2 processes",
    "celery_upsert_8": "stock Celery, upsert, 8 processes",
    "dramatiq": "dramatiq, upsert, 2 processes of 8 threads",
    "taskiq": "taskiq, upsert, 2 asynchronous processes",
    "floor": "psycopg, batches of 1,000, no queue",
    "events_on": "Rollbook, a monitor receives events",
    "events_off": "Rollbook, no monitor",
    "users_small": "Rollbook, the small table",
    "users_large": "Rollbook, the large table",
    "identify": "users.identify",
    "buffered": "users.identify, buffered",
    "delay": "task.delay, stock Celery",
    "http_identify": "PUT of a user over HTTP, respond-async, 1 server process",
    "http_direct": "users.identify, beside the HTTP server",
    "lpush": "redis-py LPUSH, one by one",
    "blpop": "redis-py BLPOP, one by one",
}
"""Name of a rate -> its label."""


class Bench:
    """One run of the benchmark."""

    def __init__(
        self,
        environment: Environment,
        scale: Scale,
        *,
        keys: Set[str],
        peers: Iterable[str],
        step: Callable[[str], None],
    ) -> None:
        self.environment = environment
        self.scale = scale
        self.keys = keys
        """The keys to measure."""
        self.peers = tuple(peers)
        """The peers that are installed."""
        self.step = step
        """Reports what happens next; one step of the progress bar."""
        self.figures: list[Figure] = []
        self.rates: dict[str, list[float]] = {}
        """Name in LABELS -> the rate of each round, in users, calls or messages a second."""
        self._sides: dict[str, Contender] = {}
        self._sizes: dict[str, int] = {}
        self._begin = time.monotonic()
        self.warm_rss: int | None = None

    def start(self, names: Iterable[str]) -> None:
        """Start the workers of several contenders at once. Those that run already are left alone."""
        new = [name for name in dict.fromkeys(names) if name not in self._sides]
        for name in new:
            self._sides[name] = self._make(name)
            self._sides[name].start()
        for name in new:
            self.step(f"waiting for {LABELS[name]}")
            self._sides[name].wait_until_ready()

    def contender(self, name: str) -> Contender:
        return self._sides[name]

    def ours(self, name: str = OURS) -> RollbookSingle:
        contender = self._sides[name]
        assert isinstance(contender, RollbookSingle)
        return contender

    def stock(self, name: str) -> StockCelery:
        contender = self._sides[name]
        assert isinstance(contender, StockCelery)
        return contender

    def size_of(self, name: str) -> int:
        """How many jobs keep a contender busy for the scale's seconds. The first call measures it and warms it up."""
        if name not in self._sizes:
            self._sizes[name] = find_size(self._sides[name], self.scale.drain_seconds, self.scale.max_jobs)
        return self._sizes[name]

    def variants(self, names: Sequence[str]) -> tuple[str, ...]:
        """All settings of a baseline; in a quick run only the one that is usually better."""
        return tuple(names) if self.scale.all_variants else tuple(names[-1:])

    def rounds(self) -> int:
        """How many rounds the next experiment takes: fewer if a slow machine has used up the time."""
        late = sum(time.monotonic() - self._begin > limit for limit in self.scale.fewer_rounds_after)
        return max(1, self.scale.rounds - late)

    def record(self, figure: Figure) -> None:
        self.figures.append(figure)

    def rate(self, name: str, value: float) -> None:
        self.rates.setdefault(name, []).append(value)

    def median_rate(self, name: str) -> float:
        return statistics.median(self.rates[name])

    def close(self) -> None:
        for contender in self._sides.values():
            contender.close()

    def _make(self, name: str) -> Contender:
        known = self.scale.large_users if name == LARGE else self.scale.users
        return _MAKERS[name](self.environment, name, known=known)


_MAKERS: Final[dict[str, Callable[..., Contender]]] = {
    OURS: RollbookSingle,
    LARGE: RollbookSingle,
    ONE: partial(RollbookSingle, workers=1),
    BULK_QUEUE: RollbookBulk,
    "celery_orm_2": partial(StockCelery, task="orm", processes=2),
    "celery_orm_8": partial(StockCelery, task="orm", processes=8),
    "celery_upsert_2": partial(StockCelery, task="upsert", processes=2),
    "celery_upsert_8": partial(StockCelery, task="upsert", processes=8),
    "dramatiq": Dramatiq,
    "taskiq": Taskiq,
}
