"""Serves a process's metrics over HTTP, for Prometheus to fetch, where the settings ask for it.

By default on the loopback interface only, for whoever can fetch them need not say who he is. They name no user.
"""

from __future__ import annotations

import logging

from rollbook_shared.install_hint import missing_extra
from rollbook_shared.settings import Settings

logger = logging.getLogger(__name__)


def serve_metrics(settings: Settings) -> bool:
    """Begin to serve what is in Prometheus' default registry, from a thread; tell whether metrics are wanted.

    A port that is taken, as by another worker on this machine, is said in the log: jobs come first.

    Raises:
        NotConfigured: metrics are wanted, and the extra `metrics` is not installed.
    """
    if not settings.metrics_port:
        return False
    try:
        from prometheus_client import disable_created_metrics, start_http_server
    except ModuleNotFoundError as error:
        raise missing_extra("the metrics server", "metrics") from error
    # a series for each counter, of which nobody makes anything
    disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        start_http_server(settings.metrics_port, addr=settings.metrics_address)
    except OSError as error:
        logger.error("metrics cannot be served on port %d (%s)", settings.metrics_port, error.strerror)
    return True
