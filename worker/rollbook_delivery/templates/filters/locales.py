"""The recipient's locale and time zone, as filters use them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import lru_cache
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from babel import Locale
from babel.core import UnknownLocaleError

from rollbook_delivery.templates.state import FilterProblem, RenderState

T = TypeVar("T")
DEFAULT_LOCALE: Final = Locale.parse("en")
DEFAULT_TIMEZONE: Final[tzinfo] = ZoneInfo("UTC")


def locale_of(name: object, state: RenderState) -> Locale:
    """The locale of this name; without a name the recipient's, or English.

    Raises:
        FilterProblem: the template names one that does not exist. A recipient's is then English.
    """
    return _found(name, state.locale, _locale, DEFAULT_LOCALE, "locale")


def timezone_of(name: object, state: RenderState) -> tzinfo:
    """The time zone of this name; without a name the recipient's, or UTC.

    Raises:
        FilterProblem: the template names one that does not exist. A recipient's is then UTC.
    """
    return _found(name, state.timezone, _timezone, DEFAULT_TIMEZONE, "time zone")


def _found(name: object, own: object, find: Callable[[object], T | None], default: T, what: str) -> T:
    if name is None:
        return find(own) or default
    if (found := find(name)) is None:
        raise FilterProblem(f"there is no such {what}")
    return found


@lru_cache(maxsize=1024)
def _locale(name: object) -> Locale | None:
    if not isinstance(name, str):
        return None
    parts = name.replace("_", "-").split("-")
    while parts:
        try:
            return Locale.parse("-".join(parts), sep="-")
        except (UnknownLocaleError, ValueError, TypeError):
            parts.pop()  # of `de-XX` the `de`
    return None


@lru_cache(maxsize=1024)
def _timezone(name: object) -> tzinfo | None:
    if not isinstance(name, str):
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):  # `ZoneInfoNotFoundError` is a KeyError
        return None
    except KeyError:
        return None
