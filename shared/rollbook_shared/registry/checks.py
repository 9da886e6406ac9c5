"""Checks of what the registry's file says. They name the table, and what it must be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar

from rollbook_shared.errors import NotConfigured

E = TypeVar("E", bound=StrEnum)
_MAX_KEY: Final = 256
_MAX_NAMES: Final = 100
"""Channels or categories of a workflow; a trigger has the same bound."""
_DURATION: Final = re.compile(r"([0-9]{1,9}) ?(s|m|h|d)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST: Final = timedelta(days=3650)


class Check:
    """Raises `NotConfigured` for what is not understood."""

    def __init__(self, what: str) -> None:
        self._what = what

    def fail(self, reason: str) -> NoReturn:
        """Refuse the file."""
        raise NotConfigured(f"{self._what}: {reason}")

    def key(self, key: str, where: str) -> None:
        """Check the length of a channel's or workflow's key."""
        if not 1 <= len(key) <= _MAX_KEY:
            self.fail(f"{where}: a key has 1 to {_MAX_KEY} characters")

    def keys(self, table: Mapping[str, Any], where: str, known: Iterable[str]) -> None:
        """Refuse keys that are not known."""
        known = tuple(known)
        for name in table:
            if name not in known:
                self.fail(f"{where} has the key {name}, which is none of {', '.join(known)}")

    def table(self, document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """A top-level table; empty if it is missing."""
        return self.mapping(document.get(name, {}), f"[{name}]")

    def mapping(self, value: object, where: str) -> Mapping[str, Any]:
        """The value, which must be a table."""
        if not isinstance(value, Mapping):
            self.fail(f"{where} must be a table")
        return value

    def text(self, table: Mapping[str, Any], name: str, where: str, *, default: str | None) -> str:
        """A text; without a default it must be there."""
        value = table.get(name, default)
        if not isinstance(value, str) or (default is None and not value):
            self.fail(f"{where}: {name} must be text")
        return value

    def texts(
        self, table: Mapping[str, Any], name: str, where: str, *, default: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """A list of texts."""
        value = table.get(name, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.fail(f"{where}: {name} must be a list of texts")
        if len(value) > _MAX_NAMES:
            self.fail(f"{where}: {name} must have at most {_MAX_NAMES}")
        return tuple(value)

    def flag(self, table: Mapping[str, Any], name: str, where: str, *, default: bool) -> bool:
        """True or false."""
        value = table.get(name, default)
        if not isinstance(value, bool):
            self.fail(f"{where}: {name} must be true or false")
        return value

    def choice(self, table: Mapping[str, Any], name: str, where: str, kind: type[E], *, default: E) -> E:
        """One of the values of an enumeration."""
        value = table.get(name, default)
        if not isinstance(value, str) or value not in set(kind):
            self.fail(f"{where}: {name} must be one of {', '.join(kind)}")
        return kind(value)

    def number(self, table: Mapping[str, Any], name: str, where: str, *, least: int, most: int, default: int) -> int:
        """A whole number within bounds."""
        value = table.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.fail(f"{where}: {name} must be a number from {least} to {most}")
        return value

    def duration(self, table: Mapping[str, Any], name: str, where: str, *, default: timedelta) -> timedelta:
        """A time."""
        if name not in table:
            return default
        value = table[name]
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None or (found := int(match[1]) * timedelta(**{_UNITS[match[2]]: 1})) > _LONGEST:
            self.fail(f'{where}: {name} must be a time such as "90s", "10m", "1h" or "2d"')
        return found
