"""A worker's store and a sender's client, with times that are minutes before now."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.support.builders import user
from tests.support.deliveries import MAIL, REGISTRY, DeliveryStore

from rollbook import Delivery, Rollbook
from rollbook_shared import jobs
from rollbook_shared.registry import parse_registry

MINUTE: Final = 60_000_000
"""In microseconds."""


class Case:
    """A worker's store and a sender's client, with times that are minutes before now."""

    def __init__(self, worker: DeliveryStore, rb: Rollbook, path: Path) -> None:
        self.worker, self.rb, self.path = worker, rb, path
        self.now = worker.now()
        self._jobs = 0
        self.use(REGISTRY)

    def use(self, registry: str) -> None:
        """Let both sides have this registry."""
        self.worker.registry = parse_registry(registry)
        self.path.write_text(registry)
        self.rb._context._registry = None

    def apply(self, job: type[jobs.Job], minutes_ago: float = 1, **fields: Any) -> str:
        self._jobs += 1
        id_ = f"job-{self._jobs}"
        at = self.now - int(minutes_ago * MINUTE)
        self.worker.apply(job.model_validate({"id": id_, "occurred_at": at, **fields}))
        return id_

    def identify(self, id_: str, minutes_ago: float = 50, **traits: Any) -> None:
        self.apply(jobs.Identify, minutes_ago, user=user(id_, **traits))

    def trigger(
        self, *ids: str, workflow: str = "hello", minutes_ago: float = 1, channels: tuple[str, ...] = MAIL
    ) -> str:
        return self.apply(jobs.Trigger, minutes_ago, workflow=workflow, recipients=ids, channels=channels, actor=None)

    def claim(self, channel: str = "mail", **options: Any) -> list[Delivery]:
        return list(self.rb.deliveries.claim(channel, **options))

    def one(self, **options: Any) -> Delivery:
        (delivery,) = self.claim(**options)
        return delivery
