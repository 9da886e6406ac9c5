"""taskiq, one message per user: one upsert on a pool of asynchronous connections in each process."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.bench.baselines import table
from psycopg.types.json import Json
from psycopg_pool import AsyncConnectionPool
from taskiq import TaskiqEvents
from taskiq_redis import ListQueueBroker

QUEUE: Final = "baseline"
CONNECTIONS: Final = 8
_pools: list[AsyncConnectionPool[Any]] = []


async def keep(user_id: str, traits: dict[str, Any]) -> None:
    async with _pools[0].connection() as connection:
        await connection.execute(table.UPSERT, (user_id, Json(traits)))


async def open_pool(state: Any) -> None:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        table.database_url(), min_size=CONNECTIONS, max_size=CONNECTIONS, open=False, kwargs={"autocommit": True}
    )
    await pool.open(wait=True)
    _pools.append(pool)


def task_at(broker_url: str) -> Any:
    """The task, with its own broker on lists. It is faster than the one on streams, which acknowledges."""
    broker: Any = ListQueueBroker(broker_url, queue_name=QUEUE)
    broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, open_pool)
    return broker.register_task(keep, task_name="keep")


broker = task_at(table.broker_url()).broker
