"""The known attributes of a user, and what each must look like. All are optional, and `null` is allowed for each."""

from __future__ import annotations

import functools
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
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
_IMAGE: Final = "data:image/"
"""How an avatar begins that is no link: a browser runs other kinds of data, such as HTML."""
MAX_IMAGE_CHARACTERS: Final = 64 * 1024
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""A terminal or a mail header would interpret it."""
_INVISIBLE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_COMMON_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?:/[!-~]*)?")
"""What most avatars look like; other URLs are parsed."""


def attribute_problem(name: str, value: object) -> str | None:
    """Why `value` (not null) is invalid as the attribute `name`, or None."""
    if not isinstance(value, str):
        return "must be text or null"
    if len(value) > (most := _most_characters(name, value)):
        return f"must be at most {most:,} characters"
    if not _CHECKS[name](value):
        return _EXPECTED[name]
    return "must hold no control characters" if _CONTROL.search(value) else None


def are_common(name: str, values: Sequence[str]) -> bool:
    """Whether all values of the attribute look as nearly all valid ones do. It takes a third of the time that looking
    at each takes. None of the patterns matches a line break.
    """
    match = _COMMON_LINES.get(name)
    if match is None or max(map(len, values)) > COMMON_CHARACTERS:
        return False
    lines = "\n".join([*values, ""])
    return lines.count("\n") == len(values) and match(lines) is not None


def _most_characters(name: str, value: str) -> int:
    return MAX_IMAGE_CHARACTERS if name == "avatar" and value.startswith(_IMAGE) else MAX_CHARACTERS[name]


def _is_avatar(text: str) -> bool:
    if _COMMON_URL.fullmatch(text):
        return True
    if _INVISIBLE.search(text):  # urlsplit removes some of these
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    if parts.scheme == "data":
        return text.startswith(_IMAGE)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


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


COMMON_CHARACTERS: Final = 64
"""No attribute is limited to fewer, but phone numbers, which say themselves how long they may be."""
_COMMON: Final = {
    "email": r"[!-?A-~]++@[!-?A-~]++",
    "name": r"[^\x00-\x1f\x7f-\x9f]*+",
    "phone_number": _PHONE.pattern,
    "locale": _LOCALE.pattern,
}
COMMON: Final = {name: re.compile(pattern).fullmatch for name, pattern in _COMMON.items()}
"""What nearly all valid values look like, of at most `COMMON_CHARACTERS`. It takes half the time of all checks; each
bulk user has several.
"""
_COMMON_LINES: Final = {name: re.compile(rf"(?:{pattern}\n)*+").fullmatch for name, pattern in _COMMON.items()}
_CHECKS: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {
        "email": _EMAIL.fullmatch,
        "name": lambda text: True,
        "avatar": _is_avatar,
        "phone_number": _PHONE.fullmatch,
        "locale": _LOCALE.fullmatch,
        "timezone": _is_time_zone,
        "created_at": _is_timestamp,
    }
)
_EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email": "must be an e-mail address",
        "avatar": "must be an http or https URL without blanks and credentials, or a data:image/ URL",
        "phone_number": "must be a phone number in E.164 form, such as +14155550100",
        "locale": "must be a locale, such as en-GB",
        "timezone": "must be an IANA time zone, such as Europe/Berlin",
        "created_at": "must be an RFC 3339 time with its offset, such as 2026-01-31T09:30:00Z, in years 1 to 9999 UTC",
    }
)
MAX_CHARACTERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "email": 320,
        "name": 1_000,
        "avatar": 2_048,
        "phone_number": 16,
        "locale": 100,
        "timezone": 100,
        "created_at": 64,
    }
)
"""Characters. Of `email` the parts of RFC 5321 together; of the others more than any is long."""
ATTRIBUTES: Final = frozenset(_CHECKS)
"""The names of the known attributes; every other trait is a property."""
"""Of each attribute. An avatar that holds the image itself may have `MAX_IMAGE_CHARACTERS`."""
