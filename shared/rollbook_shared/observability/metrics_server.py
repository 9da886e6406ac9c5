"""Serves the metrics of a process over HTTP, for Prometheus, if the settings give a port.

By default only on the loopback interface: anyone who reaches the address can read them. They name no user.
"""

from __future__ import annotations

import logging

from rollbook_shared.install_hint import missing_extra
from rollbook_shared.settings import Settings

logger = logging.getLogger(__name__)


def serve_metrics(settings: Settings) -> bool:
    """Serve Prometheus' default registry from a thread if the settings give a port; return whether they do.

    A port in use, by another worker on the machine for example, is logged and does not stop the process: jobs come
    first.

    Raises:
        NotConfigured: a port is configured, and the extra `metrics` is not installed.
    """
    if not settings.metrics_port:
        return False
    try:
        from prometheus_client import disable_created_metrics, start_http_server
    except ModuleNotFoundError as error:
        raise missing_extra("the metrics server", "metrics") from error
    # they are one more series for each counter, and nothing uses them
    disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        start_http_server(settings.metrics_port, addr=settings.metrics_address)
    except OSError as error:
        logger.error("cannot serve metrics on port %d (%s)", settings.metrics_port, error.strerror)
    return True
