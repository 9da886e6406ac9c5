"""The known attributes of a user, and what each must look like. All are optional, and `null` is allowed for each."""

from __future__ import annotations

import functools
import pkgutil
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

RESERVED: Final = frozenset({"id", "updated_at", "channel_data", "preferences"})
"""Names that no property may have: Rollbook sets them, or they are given in another way."""

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LOCALE: Final = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")
_COMMON_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?:/[!-~]*)?")
"""What most avatars look like; other URLs are parsed."""


def attribute_problem(name: str, value: object) -> str | None:
    """Why `value` (not null) is invalid as the attribute `name`, or None."""
    if not isinstance(value, str):
        return "must be text or null"
    return None if _CHECKS[name](value) else _EXPECTED[name]


def _is_url(text: str) -> bool:
    if _COMMON_URL.fullmatch(text):
        return True
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https", "data") and bool(parts.netloc or parts.path)


def _is_timestamp(text: str) -> bool:
    if not _TIMESTAMP.fullmatch(text):
        return False
    try:
        # near the first and the last year an offset may lead to a time that no datetime can represent
        datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _is_time_zone(text: str) -> bool:
    return text in _time_zones()


@functools.cache
def _time_zones() -> frozenset[str]:
    # Of the package alone, which is a dependency: a machine's own list has links such as `localtime`, and what is valid
    # must be the same to the client and to every worker.
    zones = pkgutil.get_data("tzdata", "zones") or b""
    return frozenset(zones.decode().split()) - {"Factory"}


def rfc3339(at: datetime) -> str:
    """An aware datetime as RFC 3339 text in UTC; if UTC has no such time, as text that no attribute accepts."""
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        return at.isoformat()
    return at.isoformat().replace("+00:00", "Z")


_CHECKS: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {
        "email": _EMAIL.fullmatch,
        "name": lambda text: True,
        "avatar": _is_url,
        "phone_number": _PHONE.fullmatch,
        "locale": _LOCALE.fullmatch,
        "timezone": _is_time_zone,
        "created_at": _is_timestamp,
    }
)
_EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email": "must be an e-mail address",
        "avatar": "must be a URL",
        "phone_number": "must be a phone number in E.164 form, such as +14155550100",
        "locale": "must be a locale, such as en-GB",
        "timezone": "must be an IANA time zone, such as Europe/Berlin",
        "created_at": "must be an RFC 3339 time with its offset, such as 2026-01-31T09:30:00Z, in years 1 to 9999 UTC",
    }
)
ATTRIBUTES: Final = frozenset(_CHECKS)
"""The names of the known attributes; every other trait is a property."""
