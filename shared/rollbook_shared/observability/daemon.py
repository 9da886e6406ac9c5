"""Runs the processes that work in a loop by themselves, the relay and maintenance: settings, log, metrics, signals and
heartbeat.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final, Protocol

from rollbook_shared.errors import RollbookError
from rollbook_shared.observability.health_file import HealthState
from rollbook_shared.observability.heartbeat import Heartbeat
from rollbook_shared.observability.logs import configure_logging
from rollbook_shared.observability.metrics_server import serve_metrics
from rollbook_shared.observability.stop_event import StopEvent
from rollbook_shared.settings import Settings

logger = logging.getLogger(__name__)

NOT_CONFIGURED: Final = 2
"""The exit code where a setting is missing or cannot be used."""


class Daemon(Protocol):
    """The work of such a process."""

    def run(self, stopped: threading.Event) -> None:
        """Work until `stopped`."""

    def state(self) -> HealthState | None:
        """Asked from another thread: how the process is; None: it hangs."""

    def close(self) -> None:
        """Close the connections."""


def run_daemon(name: str, build: Callable[[Settings, bool], Daemon]) -> int:
    """Run what `build` makes until SIGTERM or Ctrl-C; the batch in hand is finished. Return the exit code.

    build: gets the settings of the environment, and whether metrics are wanted (what counts needs an extra).
    """
    stopped = StopEvent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        settings = Settings.from_env()
        configure_logging(settings)
        daemon = build(settings, serve_metrics(settings))
    except RollbookError as error:
        print(f"rollbook: {error}", file=sys.stderr)
        return NOT_CONFIGURED
    heartbeat = Heartbeat(settings.health_file, daemon.state)
    heartbeat.start()
    logger.info("%s: started", name)
    try:
        daemon.run(stopped)
    finally:
        heartbeat.stop()
        daemon.close()
    logger.info("%s: stopped", name)
    return 0
