"""Starts the process that delivers, as the settings of the environment say."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial

from rollbook import AsyncRollbook
from rollbook.models import Content, Delivery
from rollbook_delivery.process.client_queue import ClientQueue
from rollbook_delivery.process.delivery_process import DeliveryProcess
from rollbook_delivery.process.seams import Render
from rollbook_delivery.process.templates import render_from
from rollbook_shared.errors import NotConfigured
from rollbook_shared.observability.daemon import run_daemon
from rollbook_shared.registry import RegistryFile
from rollbook_shared.settings import Settings


def main(channels: Collection[str]) -> int:
    """Deliver these channels, or all if none is given, until SIGTERM or Ctrl-C; return the exit code."""
    return run_daemon("deliver", partial(_process, channels))


def _process(channels: Collection[str], settings: Settings, with_metrics: bool) -> DeliveryProcess:
    if settings.registry is None:
        raise NotConfigured("ROLLBOOK_REGISTRY is not set; set it to the file that says how channels are delivered")
    settings.need_database_url()
    settings.need_broker_url()  # of a token that is gone a job is sent
    metrics = None
    if with_metrics:
        from prometheus_client import REGISTRY

        from rollbook_delivery.process.metrics import DeliveryMetrics

        metrics = DeliveryMetrics(REGISTRY)
    return DeliveryProcess(
        RegistryFile(settings.registry),
        lambda: ClientQueue(AsyncRollbook.from_env()),
        _renderer(settings),
        os.environ,
        only=channels,
        metrics=metrics,
    )


def _renderer(settings: Settings) -> Render:
    if settings.templates is None:
        return _no_template
    return render_from(settings.templates)


def _no_template(_: Delivery) -> Content | None:
    return None
