"""What the contexts of both clients have: the settings, the publisher and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from rollbook_shared.errors import NotConfigured

if TYPE_CHECKING:
    from rollbook_shared.limits import Limits
    from rollbook_shared.registry import Registry, RegistryFile
    from rollbook_shared.settings import Settings

P = TypeVar("P")
Clock = Callable[[], int]
"""Returns the present time in microseconds since 1970."""


def system_clock() -> int:
    """The present time in microseconds since 1970, by the clock of this machine."""
    return time.time_ns() // 1_000


class BaseContext(Generic[P]):
    """The settings, the publisher and the clock of one client."""

    def __init__(self, settings: Settings, publisher: P | None, clock: Clock) -> None:
        self._settings = settings
        self._publisher = publisher
        self._clock = clock
        self._registry: RegistryFile | None = None

    @property
    def limits(self) -> Limits:
        """What the client accepts."""
        return self._settings.limits

    @property
    def merge_history(self) -> timedelta:
        """How much history a merge transfers."""
        return self._settings.merge_history

    @property
    def schema(self) -> str:
        """The schema of Postgres that the Rollbook is in."""
        return self._settings.schema

    @property
    def broker_url(self) -> str | None:
        """The broker's URL, if there is one."""
        return self._settings.broker_url

    def registry(self) -> Registry:
        """The channels and workflows, as the file of the registry has them now.

        Raises:
            NotConfigured: there is no such file, or it cannot be read or is invalid.
        """
        if self._registry is None:
            if self._settings.registry is None:
                raise NotConfigured("ROLLBOOK_REGISTRY is not set; set it to the TOML file with the channels")
            # imported here: only deliveries need it
            from rollbook_shared.registry import RegistryFile

            self._registry = RegistryFile(self._settings.registry)
        return self._registry.latest()

    def now(self) -> int:
        """The present time in microseconds since 1970, by the client's clock."""
        return self._clock()

    def publisher(self) -> P:
        """The publisher.

        Raises:
            NotConfigured: there is no broker URL.
        """
        if self._publisher is None:
            self._settings.need_broker_url()
            raise AssertionError("a client with a broker URL has a publisher")
        return self._publisher
