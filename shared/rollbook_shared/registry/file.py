"""The registry's file, read again on demand."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rollbook_shared.errors import NotConfigured
from rollbook_shared.registry.models import Registry
from rollbook_shared.registry.toml import parse_registry

CHECK_SECONDS: Final = 1.0
"""How often `latest` looks whether the file has changed."""

logger: Final = logging.getLogger(__name__)


class RegistryFile:
    """The registry as it was last read. A file that became invalid leaves the registry as it is."""

    def __init__(self, path: str | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        path: None: nothing is registered.

        Raises:
            NotConfigured: it cannot be read or is invalid.
        """
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._version = self._find_version()
        self._current = self._read()
        self._checked_at = clock()

    @property
    def current(self) -> Registry:
        """What was read last."""
        return self._current

    def reload(self) -> Registry:
        """Read the file again.

        Raises:
            NotConfigured: it cannot be read or is invalid; `current` stays what it was.
        """
        self._current = self._read()
        return self._current

    def latest(self) -> Registry:
        """What the file says now, as of the last second. One that became invalid is logged, and changes nothing."""
        if self._path is not None and self._clock() - self._checked_at >= CHECK_SECONDS:
            with self._lock:
                self._checked_at = self._clock()
                if (version := self._find_version()) != self._version:
                    self._version = version
                    try:
                        self.reload()
                    except NotConfigured as error:
                        logger.error("the registry stays as it is: %s", error)
                    else:
                        logger.info("read the registry: %d channels", len(self._current.channels))
        return self._current

    def _find_version(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> Registry:
        if self._path is None:
            return Registry()
        try:
            text = Path(self._path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise NotConfigured(f"the registry {self._path} cannot be read: {reason}") from None
        return parse_registry(text, what=f"the registry {self._path}")
