"""Our transport against the stock transport: messages per second, and how fast an idle worker starts a message.

    python benchmarks/transport.py [--rounds 5] [--messages 4000] [--json]

There is a worker for each transport and pool, each with its own database of one Valkey that is started here. In each
round every worker gets messages for a task that does nothing, one worker after the other while the others are idle. The
output has the medians, and the median of the ratios within a round. Then single messages go to idle workers with one,
two or four queues; the latency is the time from sending to running.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import statistics
import sys
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from celery import Celery
from kombu.entity import Exchange, Queue

from rollbook_ops.devstack import Servers, processes
from rollbook_ops.devstack.workers import responding_workers
from rollbook_worker.celery_ext.transport import LeasedConnection

QUEUES: Final = ("one", "two", "three", "four")
POOLS: Final = {"threads": 4, "solo": 1}
TRANSPORTS: Final = ("ours", "stock")
SAMPLES: Final = 300
PAUSE_SECONDS: Final = 0.01


class Measured(Celery):  # type: ignore[misc]  # Celery ships no types
    """Consumes through the transport that the environment variable names."""

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        connection = super().connection_for_read(url, **options)
        return LeasedConnection.like(connection) if os.environ["MEASURED_TRANSPORT"] == "ours" else connection


def make_app(broker: str) -> Measured:
    app = Measured("measured", set_as_current=False)
    app.conf.update(
        broker_read_url=broker,
        broker_write_url=broker,
        task_ignore_result=True,
        task_acks_late=True,
        task_queues=[_queue(name) for name in QUEUES],
        task_default_queue=QUEUES[0],
        worker_prefetch_multiplier=16,
        worker_disable_rate_limits=True,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"priority_steps": [0], "visibility_timeout": 240},
    )
    client = redis.Redis.from_url(broker)

    def late(sent: float) -> None:
        client.rpush("taken", time.monotonic() - sent)

    app.task(_nothing, name="nothing")
    app.task(late, name="late")
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=4_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with TemporaryDirectory() as logs, Servers(durable=False, database_url="postgresql://not-needed") as servers:
        rates = _throughput(servers.broker_url, Path(logs), given.rounds, given.messages)
        latencies = {width: _latency(servers.broker_url, Path(logs), width) for width in (1, 2, 4)}
    if given.json:
        print(json.dumps({"rounds": given.rounds, "messages": given.messages, "rates": rates, "idle_ms": latencies}))
        return
    for pool, figures in rates.items():
        print(f"{pool:<8} ours {figures['ours']:>7,.0f}/s  stock {figures['stock']:>7,.0f}/s  {figures['ratio']:.1f}x")
    for width, methods in latencies.items():
        for method, figure in methods.items():
            print(f"idle, {width} queue(s), {method:<6} p50 {figure['p50']:.1f} ms  p99 {figure['p99']:.1f} ms")


def _throughput(server: str, logs: Path, rounds: int, messages: int) -> dict[str, dict[str, float]]:
    rates: dict[str, dict[str, list[float]]] = {pool: {method: [] for method in TRANSPORTS} for pool in POOLS}
    with ExitStack() as running:
        methods = [(pool, method) for pool in POOLS for method in TRANSPORTS]
        brokers = {
            method: _start(running, server, number + 1, logs, *method, width=1) for number, method in enumerate(methods)
        }
        for round_ in range(rounds + 1):
            for pool, method in random.sample(methods, len(methods)):
                rate = _rate(brokers[pool, method], messages if method == "ours" else messages // 4)
                if round_:  # the first warms up
                    rates[pool][method].append(rate)
    return {
        pool: {
            "ours": statistics.median(figures["ours"]),
            "stock": statistics.median(figures["stock"]),
            "ratio": statistics.median(a / b for a, b in zip(figures["ours"], figures["stock"], strict=True)),
        }
        for pool, figures in rates.items()
    }


def _rate(broker: str, messages: int) -> float:
    with redis.Redis.from_url(broker) as client:
        items = [celery_message("nothing", None, QUEUES[0]) for _ in range(messages)]
        begin = time.perf_counter()
        client.lpush(QUEUES[0], *items)
        while client.llen(QUEUES[0]) or client.hlen("unacked"):
            time.sleep(0.002)
        return messages / (time.perf_counter() - begin)


def _latency(server: str, logs: Path, width: int) -> dict[str, dict[str, float]]:
    found = {}
    with ExitStack() as running:
        for number, method in enumerate(TRANSPORTS):
            broker = _start(running, server, 8 + number, logs, "threads", method, width=width)
            with redis.Redis.from_url(broker) as client:
                client.delete("taken")
                for sent in range(SAMPLES):
                    queue = QUEUES[sent % width]
                    client.lpush(queue, celery_message("late", time.monotonic(), queue))
                    while client.llen("taken") <= sent:
                        time.sleep(PAUSE_SECONDS)
                taken = sorted(float(each) * 1_000 for each in client.lrange("taken", 0, -1))
            found[method] = {"p50": taken[SAMPLES // 2], "p99": taken[SAMPLES * 99 // 100]}
    return found


def _start(running: ExitStack, server: str, database: int, logs: Path, pool: str, method: str, *, width: int) -> str:
    """Start a worker with its own broker; return the broker's URL when the worker is ready."""
    broker = urlsplit(server)._replace(path=f"/{database}").geturl()
    with redis.Redis.from_url(broker) as client:
        client.flushdb()
    name = f"{pool}-{method}-{width}"
    worker = processes.spawn(
        [
            *(sys.executable, "-m", "celery", "-A", "transport:app", "worker", "--hostname", f"{name}@measured"),
            *("--queues", ",".join(QUEUES[:width]), "--pool", pool, "--concurrency", str(POOLS[pool])),
            *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
        ],
        log=logs / f"{name}.log",
        env=os.environ | {"MEASURED_BROKER": broker, "MEASURED_TRANSPORT": method},
        cwd=Path(__file__).parent,
    )
    running.callback(processes.stop, worker)
    while not responding_workers(broker, {f"{name}@measured"}):
        if worker.poll() is not None:
            raise RuntimeError((logs / f"{name}.log").read_text())
    return broker


def celery_message(task: str, argument: object, queue: str) -> str:
    number = str(uuid.uuid4())
    body = base64.b64encode(json.dumps([[argument] if task == "late" else ["x" * 500], {}, {}]).encode()).decode()
    delivery = {"exchange": "", "routing_key": queue}
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": task,
                "id": number,
                "root_id": number,
                "retries": 0,
                "ignore_result": True,
            },
            "properties": {
                "correlation_id": number,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": delivery,
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": number,
            },
        }
    )


def _nothing(text: str) -> None:
    pass


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


if "MEASURED_BROKER" in os.environ:
    app = make_app(os.environ["MEASURED_BROKER"])
elif __name__ == "__main__":
    main()
