"""What a delivery costs at least: the rows of triggers by bare inserts, with and without a delivery for each message.

    python -m benchmarks.delivery_floor [--batches 100] [--json]

Two databases of one durable Postgres get the same rows in turns, a hundred triggers a transaction: jobs, triggers,
activities and messages, and in one of them deliveries. Nothing is looked up, decoded or decided, and no insert minds a
conflict. `delivery_rates.py` has what a worker's store takes for the same triggers. Its ratio is above the one here
only as far as a message costs more there for other reasons than its rows.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import psycopg
from benchmarks.delivery_rates import BATCH, RECIPIENTS, USERS, database

from rollbook_ops.devstack import Servers
from rollbook_shared.domain.stamps import new_job_id, stamp
from rollbook_shared.json_values import encode_json

Row = dict[str, Any]

WARM_UP: Final = 20
"""Batches that are not counted."""
_JOBS: Final = """
    INSERT INTO rollbook.jobs (id, kind, digest, state, occurred_at, finished_at)
    SELECT id, 'trigger', sha256(id::bytea), 'applied', occurred_at, now()
    FROM json_to_recordset(%(triggers)s::json) AS n (id text, occurred_at bigint)"""
_TRIGGERS: Final = """
    INSERT INTO rollbook.triggers (job_id, stamp, workflow, had_actor, categories, data)
    SELECT id, stamp, 'comment', false, '{}', data
    FROM json_to_recordset(%(triggers)s::json) AS n (id text, stamp text, data jsonb)"""
_ACTIVITIES: Final = """
    INSERT INTO rollbook.activities (id, job_id, stamp, recipient)
    SELECT id, job_id, stamp, recipient
    FROM json_to_recordset(%(activities)s::json) AS n (id uuid, job_id text, stamp text, recipient text)"""
_MESSAGES: Final = """
    INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
    SELECT id, job_id, stamp, recipient, 'email'
    FROM json_to_recordset(%(messages)s::json) AS n (id uuid, job_id text, stamp text, recipient text)"""
_DELIVERIES: Final = """
    INSERT INTO rollbook.deliveries (
        message_id, channel, workflow, priority, state, due_at, expires_at, created_at, changed_at
    )
    SELECT id, 'mail', 'comment', 1, 'pending', now(), now() + interval '1 hour', now(), now()
    FROM unnest(%(ids)s::uuid[]) AS id"""
_STATEMENTS: Final = {
    "stay": (_JOBS, _TRIGGERS, _ACTIVITIES, _MESSAGES),
    "leave": (_JOBS, _TRIGGERS, _ACTIVITIES, _MESSAGES, _DELIVERIES),
}
_numbers = count()


class Cost(NamedTuple):
    """Of a message, in microseconds: by the clock, and of the processor for the client and for its session."""

    clock: float
    client: float
    session: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with Servers(durable=True) as servers:
        connections = {name: psycopg.connect(database(servers.database_url, name)) for name in _STATEMENTS}
        figures = {size: _figures(connections, size, given.batches) for size in RECIPIENTS}
        for connection in connections.values():
            connection.close()
    if given.json:
        print(json.dumps(figures))
        return
    for size, found in figures.items():
        print(
            f"triggers of {size}: {found['stay']:.1f} µs of the processor for a message, {found['leave']:.1f} with a "
            f"delivery: {found['processor_ratio']:.2f}; by the clock {found['ratio']:.2f}"
        )


def _figures(connections: dict[str, psycopg.Connection], size: int, batches: int) -> dict[str, float]:
    costs: dict[str, list[Cost]] = {name: [] for name in connections}
    for batch in range(WARM_UP + batches):
        for name in random.sample(list(connections), len(connections)):
            cost = _insert(connections[name], _STATEMENTS[name], size)
            if batch >= WARM_UP:
                costs[name].append(cost)
    medians = {name: statistics.median(cost.client + cost.session for cost in costs[name]) for name in costs}
    ratios = [stay.clock / leave.clock for stay, leave in zip(costs["stay"], costs["leave"], strict=True)]
    return medians | {
        "processor_ratio": medians["stay"] / medians["leave"],
        "ratio": statistics.median(ratios),
    }


def _insert(connection: psycopg.Connection, statements: tuple[str, ...], size: int) -> Cost:
    rows = _rows(size)
    messages = size * BATCH
    session = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    begin = (time.perf_counter(), time.process_time(), int(session.read_text().split()[0]))
    parameters = {name: encode_json(values).decode() for name, values in rows.items()}
    parameters["ids"] = "{" + ",".join(str(row["id"]) for row in rows["messages"]) + "}"
    for statement in statements:
        connection.execute(statement.encode(), parameters)
    connection.commit()
    return Cost(
        clock=(time.perf_counter() - begin[0]) * 1e6 / messages,
        client=(time.process_time() - begin[1]) * 1e6 / messages,
        session=(int(session.read_text().split()[0]) - begin[2]) / 1e3 / messages,
    )


def _rows(size: int) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {"triggers": [], "activities": [], "messages": []}
    for _trigger in range(BATCH):
        now = time.time_ns() // 1_000
        job_id = new_job_id(now)
        at = stamp(now, job_id)
        rows["triggers"].append({"id": job_id, "stamp": at, "occurred_at": now, "data": {"page": 1}})
        for _ in range(size):
            row: Row = {"job_id": job_id, "stamp": at, "recipient": f"user-{next(_numbers) % USERS}"}
            rows["activities"].append({"id": uuid4(), **row})
            rows["messages"].append({"id": uuid4(), **row})
    return rows


if __name__ == "__main__":
    main()
