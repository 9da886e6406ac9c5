"""The store of a process. It publishes what its commits may have changed: to HTTP servers of feeds, and to senders
where channels are registered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rollbook_shared.jobs.models import Job
from rollbook_shared.registry import RegistryFile
from rollbook_shared.settings import Settings
from rollbook_worker.due_deliveries import DeliveryNotifier
from rollbook_worker.feed_changes import FeedNotifier
from rollbook_worker.store import PostgresStore
from rollbook_worker.store.retry import Contention


def process_store(
    settings: Settings, on_contention: Callable[[Contention], None] = lambda contention: None
) -> PostgresStore:
    """The store that the settings describe. It publishes to the broker, if there is one.

    Raises:
        NotConfigured: there is no database URL, or the registry cannot be read or is invalid.
    """
    if settings.broker_url is None:
        return PostgresStore.from_settings(settings, on_contention)

    def on_committed(jobs: Sequence[Job]) -> None:
        feeds.notify(jobs)
        if deliveries is not None:
            deliveries.notify(jobs)

    deliveries = None
    if settings.registry:
        deliveries = DeliveryNotifier(settings.broker_url, RegistryFile(settings.registry).latest)
        store = PostgresStore.from_settings(settings, on_contention, on_committed, deliveries.notify_channels)
    else:
        store = PostgresStore.from_settings(settings, on_contention, on_committed)
    feeds = FeedNotifier(settings.broker_url, store.find_recipients)
    return store
