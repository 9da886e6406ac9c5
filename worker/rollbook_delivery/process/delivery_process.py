"""Runs a loop for each channel of the registry that this process delivers, and follows the registry's changes."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rollbook_delivery.process.channel_loop import ChannelLoop
from rollbook_delivery.process.observer import ChannelObserver
from rollbook_delivery.process.seams import DeliveryQueue, Render
from rollbook_delivery.senders.factory import make_sender
from rollbook_delivery.senders.sender import Sender
from rollbook_shared.errors import NotConfigured, Unavailable
from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.registry import Channel, Registry, RegistryFile

if TYPE_CHECKING:
    from rollbook_delivery.process.metrics import DeliveryMetrics

logger: Final = logging.getLogger("rollbook.delivery")

CHECK_SECONDS: Final = 0.25
"""Between two looks at whether to stop, and at the registry, which looks at its file once a second."""
HANG_SECONDS: Final = 30.0
"""After which an event loop that does not turn hangs; a turn takes milliseconds."""


class DeliveryProcess:
    """See `Daemon`."""

    def __init__(
        self,
        registry: RegistryFile,
        open_queue: Callable[[], DeliveryQueue],
        render: Render,
        env: Mapping[str, str],
        *,
        only: Collection[str] = (),
        metrics: DeliveryMetrics | None = None,
    ) -> None:
        """Check the registry and the options of the senders.

        open_queue: called in the event loop.
        env: environment variables, which options name for what is secret.
        only: keys of the channels to deliver; none given: all that have a sender of ours.

        Raises:
            NotConfigured: an option is invalid, or there is nothing to deliver.
        """
        self._registry = registry
        self._open_queue = open_queue
        self._render = render
        self._env = env
        self._only = frozenset(only)
        self._metrics = metrics
        self._loops: dict[str, tuple[Channel, ChannelLoop]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_turn = time.monotonic()
        self._failed: BaseException | None = None
        self._first = self._make(self._wanted(registry.current).values())
        if not self._first:
            raise NotConfigured(
                "the registry has no channel that this process could deliver; give one delivery = "
                '"smtp", "webhook", "apprise" or "celery"'
            )

    def run(self, stopped: threading.Event) -> None:
        """See `Daemon`.

        Raises:
            NotConfigured: an option is invalid, as only the sender's library knows.
        """
        asyncio.run(self._run(stopped))

    def state(self) -> HealthState | None:
        """See `Daemon`."""
        if time.monotonic() - self._last_turn > HANG_SECONDS:
            return None
        works = all(loop.works for _, loop in list(self._loops.values()))
        return HealthState.READY if works and self._loops else HealthState.WAITING

    def close(self) -> None:
        """See `Daemon`. Each loop has closed its sender."""

    async def _run(self, stopped: threading.Event) -> None:
        queue = self._open_queue()
        hangup = asyncio.Event()
        with suppress(ValueError, RuntimeError):  # not in the main thread, as in a test
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
        ticks = asyncio.get_running_loop().create_task(self._tick())
        try:
            await self._prepare(self._first.values())
            self._start(self._first, self._registry.current, queue)
            current = self._registry.current
            while not stopped.is_set() and self._failed is None:
                current = await self._follow(current, queue, hangup)
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            await self._stop(list(self._loops))
            await queue.aclose()
            ticks.cancel()
        if self._failed is not None:
            raise self._failed

    async def _tick(self) -> None:
        """Show that the event loop turns, also while an attempt is waited for."""
        while True:
            self._last_turn = time.monotonic()
            await asyncio.sleep(CHECK_SECONDS)

    async def _follow(self, current: Registry, queue: DeliveryQueue, hangup: asyncio.Event) -> Registry:
        """Use the registry as it is now, if it can be used; return what is in use."""
        if hangup.is_set():
            hangup.clear()
            found = self._reload(current)
        else:
            found = self._registry.latest()
        if found is current:
            return current
        wanted = self._wanted_or_none(found)
        if wanted is None:
            return found
        changed = {
            key: channel for key, channel in wanted.items() if key not in self._loops or self._loops[key][0] != channel
        }
        try:
            senders = self._make(changed.values())
            await self._prepare(senders.values())
        except (NotConfigured, Unavailable) as error:
            logger.error("deliver: the channels stay as they were: %s", error)
            return found
        await self._stop([key for key in self._loops if key not in wanted or key in changed])
        self._start(senders, found, queue)
        return found

    def _reload(self, current: Registry) -> Registry:
        try:
            return self._registry.reload()
        except NotConfigured as error:
            logger.error("deliver: the registry stays as it was: %s", error)
            return current

    def _wanted(self, registry: Registry) -> Mapping[str, Channel]:
        """The channels to deliver.

        Raises:
            NotConfigured: a channel that was named is not there.
        """
        for key in self._only:
            if key not in registry.channels:
                raise NotConfigured(f'the registry has no [channels."{key}"]')
        return {key: each for key, each in registry.channels.items() if not self._only or key in self._only}

    def _wanted_or_none(self, registry: Registry) -> Mapping[str, Channel] | None:
        try:
            return self._wanted(registry)
        except NotConfigured as error:
            logger.error("deliver: the channels stay as they were: %s", error)
            return None

    def _make(self, channels: Iterable[Channel]) -> dict[str, Sender]:
        made = ((channel.key, make_sender(channel, self._env)) for channel in channels)
        return {key: sender for key, sender in made if sender is not None}

    async def _prepare(self, senders: Iterable[Sender]) -> None:
        for sender in senders:
            await sender.prepare()

    def _start(self, senders: Mapping[str, Sender], registry: Registry, queue: DeliveryQueue) -> None:
        for key, sender in senders.items():
            observer = ChannelObserver(key, self._metrics)
            loop = ChannelLoop(key, sender, queue, self._render, observer)
            self._loops[key] = (registry.channels[key], loop)
            task = asyncio.get_running_loop().create_task(loop.run(), name=key)
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if senders:
            logger.info("deliver: delivering %s", ", ".join(sorted(senders)))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = error

    async def _stop(self, keys: Iterable[str]) -> None:
        """Stop the loops of these channels, and wait for what they have begun."""
        keys = list(keys)
        for key in keys:
            self._loops.pop(key)[1].stop()
        ending = [task for task in self._tasks if task.get_name() in keys]
        await asyncio.gather(*ending, return_exceptions=True)
