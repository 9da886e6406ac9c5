"""The process that delivers, of a stack: whether there is something to deliver, and its command."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import Final

from rollbook_shared.registry import DeliveryMethod, RegistryFile

_MODULES: Final = ("aiosmtplib", "httpcore", "liquid", "standardwebhooks")


def delivers(registry: str | None) -> bool:
    """Whether the registry has a channel that is delivered by a sender of ours.

    Raises:
        NotConfigured: the file cannot be read or is invalid.
    """
    channels = RegistryFile(registry).current.channels.values()
    return any(channel.delivery not in (None, DeliveryMethod.CLAIM) for channel in channels)


def delivery_is_installed() -> bool:
    """Whether the extra `deliver` is installed."""
    return all(importlib.util.find_spec(module) is not None for module in _MODULES)


def delivery_command() -> list[str]:
    """The command."""
    return [sys.executable, "-m", "rollbook_ops.cli", "deliver"]


def delivery_environment() -> Mapping[str, str]:
    """What the command needs besides the variables of the stack: options may name variables of an application's Celery,
    which other processes of the stack must not have.
    """
    return {name: value for name, value in os.environ.items() if name.startswith("CELERY_")}
