"""Flower's pages that Rollbook changes."""

from __future__ import annotations

from typing import Any, Final

from flower import urls
from flower.api.tasks import GetQueueLengths
from flower.views.broker import BrokerView
from flower.views.monitor import Metrics
from tornado import web

from rollbook_shared.jobs.celery_task import QUEUES


class QueuesPage(BrokerView):  # type: ignore[misc]  # Flower ships no types
    """The page *Broker*, with each queue also while none of its workers runs: then its length matters most."""

    def get_active_queue_names(self) -> list[str]:
        """See Flower, which leaves out the queues of workers that do not answer."""
        return _with_our_queues(super().get_active_queue_names())


class QueueLengths(GetQueueLengths):  # type: ignore[misc]  # Flower ships no types
    """The same for programs."""

    def get_active_queue_names(self) -> list[str]:
        """See Flower."""
        return _with_our_queues(super().get_active_queue_names())


class ProtectedMetrics(Metrics):  # type: ignore[misc]  # Flower ships no types
    """Flower's metrics, with the password only: they name tasks of other applications on the same broker."""

    @web.authenticated
    async def get(self) -> None:
        """See Flower."""
        await super().get()


_OURS: Final = {BrokerView: QueuesPage, GetQueueLengths: QueueLengths, Metrics: ProtectedMetrics}


def replace_handlers() -> None:
    """Put our pages in the place of Flower's. Before Flower starts."""
    urls.handlers[:] = map(_replaced, urls.handlers)


def _replaced(handler: Any) -> Any:
    if isinstance(handler, web.url):
        handler.handler_class = _OURS.get(handler.handler_class, handler.handler_class)
        return handler
    pattern, page, *rest = handler
    return (pattern, _OURS.get(page, page), *rest)


def _with_our_queues(names: list[str]) -> list[str]:
    return sorted({*QUEUES, *names})
