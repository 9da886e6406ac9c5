"""Query strings: the forms in which the official SDKs write lists and objects.

A list is `status[]=a&status[]=b` or `status=a&status=b`, an object `inserted_at[gte]=...` or `inserted_at.gte=...`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from rollbook_server.http.errors import invalid
from rollbook_server.http.times import parse_time
from rollbook_shared.errors import Problem

_TRUE: Final = ("true", "1")
_FALSE: Final = ("false", "0")


class QueryParams:
    """The parameters of a request's query string."""

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        values: dict[str, list[str]] = {}
        for name, value in items:
            values.setdefault(_normal(name), []).append(value)
        self._values: Mapping[str, list[str]] = MappingProxyType(values)

    def text(self, name: str) -> str | None:
        """The last value of the parameter; None if it is absent or empty."""
        return (self._values.get(name) or [""])[-1] or None

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a list."""
        return tuple(value for value in self._values.get(name, ()) if value)

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number.

        Raises:
            ApiError: 422, it is no number within these bounds.
        """
        if (text := self.text(name)) is None:
            return default
        if text.isascii() and text.isdecimal() and len(text) <= 9 and least <= int(text) <= most:
            return int(text)
        raise invalid([Problem(name, f"must be a number from {least} to {most}")])

    def flag(self, name: str) -> bool | None:
        """A boolean; None if it is absent.

        Raises:
            ApiError: 422, it is neither `true` nor `false`.
        """
        match self.text(name):
            case None:
                return None
            case text if text in _TRUE:
                return True
            case text if text in _FALSE:
                return False
        raise invalid([Problem(name, "must be true or false")])

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        """One of the choices.

        Raises:
            ApiError: 422, it is none of them.
        """
        choices = tuple(choices)
        text = self.text(name)
        if text is None or text in choices:
            return text or default
        raise invalid([Problem(name, f"must be one of {', '.join(choices)}")])

    def time(self, name: str) -> datetime | None:
        """An aware time in ISO 8601; None if it is absent.

        Raises:
            ApiError: 422, it is no such time.
        """
        return parse_time(name, self.text(name))


def _normal(name: str) -> str:
    """`status[]` as `status`, and `inserted_at[gte]` as `inserted_at.gte`."""
    if name.endswith("[]"):
        name = name[:-2]
    root, bracket, rest = name.partition("[")
    return f"{root}.{rest.rstrip(']').replace('][', '.')}" if bracket and rest.endswith("]") else name
