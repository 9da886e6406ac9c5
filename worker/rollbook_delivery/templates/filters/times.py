"""Filters of dates and times, in the recipient's time zone and locale."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any, Final

from babel import Locale
from babel import dates as babel_dates
from dateutil import parser

from rollbook_delivery.templates.filters.filter import Filter
from rollbook_delivery.templates.filters.locales import locale_of, timezone_of
from rollbook_delivery.templates.state import FilterProblem, RenderState
from rollbook_delivery.templates.text import to_text

_MAX_CHARACTERS: Final = 64
"""Of a text that is a time. The parser of free forms takes quadratic time."""
_MAX_FORMAT: Final = 200
_NOW: Final = ("now", "today")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_DIRECTIVE: Final = re.compile(r"%(-?)(.?)", re.DOTALL)
_STYLES: Final = ("short", "medium", "long", "full")


def time_of(value: object, zone: tzinfo, state: RenderState) -> datetime:
    """The time, in the zone. A date alone is that day there; a time without an offset is in UTC.

    Raises:
        FilterProblem: it is none.
    """
    try:
        found = _read(value, zone, state.now)
        return found.astimezone(zone)
    except (ValueError, OverflowError, OSError):  # parser errors, and times that no datetime can represent
        raise FilterProblem("a value is no time") from None


def _read(value: object, zone: tzinfo, now: datetime) -> datetime:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    text = to_text(value).strip()
    if text in _NOW:
        return now
    if not text or len(text) > _MAX_CHARACTERS:
        raise ValueError
    if text.isascii() and text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    if _DATE.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), time(), zone)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = parser.parse(text, default=datetime.combine(now.date(), time()))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _date(
    state: RenderState, escape: bool, value: object, format: object = "%Y-%m-%d %H:%M", timezone: object = None
) -> str:
    pattern = to_text(format)
    if len(pattern) > _MAX_FORMAT:
        raise FilterProblem("the filter `date` takes a format of at most 200 characters")
    at = time_of(value, timezone_of(timezone, state), state)
    locale = locale_of(None, state)
    return _DIRECTIVE.sub(lambda match: _directive(match[1], match[2], at, locale), pattern)


def _directive(flag: str, code: str, at: datetime, locale: Locale) -> str:
    found = _DIRECTIVES.get(code)
    if found is None:
        raise FilterProblem("the filter `date` does not know a directive of its format")
    text = found(at, locale)
    return (text.lstrip("0 ") or "0") if flag else text


def _babel(pattern: str) -> Callable[[datetime, Locale], str]:
    return lambda at, locale: babel_dates.format_datetime(at, pattern, at.tzinfo, locale)


def _python(pattern: str) -> Callable[[datetime, Locale], str]:
    return lambda at, locale: format(at, pattern)


_DIRECTIVES: Final[Mapping[str, Callable[[datetime, Locale], str]]] = {
    "a": _babel("EEE"),
    "A": _babel("EEEE"),
    "b": _babel("LLL"),
    "h": _babel("LLL"),
    "B": _babel("MMMM"),
    "p": _babel("a"),
    "P": lambda at, locale: _babel("a")(at, locale).lower(),
    "Z": lambda at, locale: at.tzname() or "",
    "Y": lambda at, locale: f"{at.year:04}",
    "y": lambda at, locale: f"{at.year % 100:02}",
    "e": lambda at, locale: f"{at.day:2}",
    "k": lambda at, locale: f"{at.hour:2}",
    "l": lambda at, locale: f"{at.hour % 12 or 12:2}",
    "I": lambda at, locale: f"{at.hour % 12 or 12:02}",
    "s": lambda at, locale: str(int(at.timestamp())),
    "F": lambda at, locale: at.date().isoformat(),
    "%": lambda at, locale: "%",
    **{code: _python(f"%{code}") for code in "djmHMSzuwV"},
    "T": _python("%H:%M:%S"),
    "R": _python("%H:%M"),
    "D": _python("%m/%d/%y"),
}


def _timezone(state: RenderState, escape: bool, value: object, timezone: object = None) -> str:
    return time_of(value, timezone_of(timezone, state), state).isoformat(timespec="seconds")


def _style(style: object) -> Any:
    found = to_text(style)
    if found not in _STYLES:
        raise FilterProblem(f"the style of a time is one of {', '.join(_STYLES)}")
    return found


def _format_date(
    state: RenderState, escape: bool, value: object, style: object = "medium", *, locale: object = None
) -> str:
    at = time_of(value, timezone_of(None, state), state)
    return babel_dates.format_date(at, _style(style), locale_of(locale, state))


def _format_time(
    state: RenderState, escape: bool, value: object, style: object = "short", *, locale: object = None
) -> str:
    at = time_of(value, timezone_of(None, state), state)
    return babel_dates.format_time(at, _style(style), at.tzinfo, locale_of(locale, state))


def _format_datetime(
    state: RenderState,
    escape: bool,
    value: object,
    date_style: object = "medium",
    time_style: object = "short",
    *,
    locale: object = None,
) -> str:
    at = time_of(value, timezone_of(None, state), state)
    found = locale_of(locale, state)
    day = babel_dates.format_date(at, _style(date_style), found)
    hour = babel_dates.format_time(at, _style(time_style), at.tzinfo, found)
    # The pattern is literal text around both, which quotes may mark as such. The time goes first: a day has no braces.
    pattern = str(babel_dates.get_datetime_format(_style(date_style), found)).replace("'", "")
    return pattern.replace("{0}", hour).replace("{1}", day)


def _format_date_in_locale(
    state: RenderState, escape: bool, value: object, locale: object, style: object = "short"
) -> str:
    return _format_date(state, escape, value, style, locale=locale)


def _format_datetime_in_locale(
    state: RenderState,
    escape: bool,
    value: object,
    locale: object,
    date_style: object = "short",
    time_style: object = "short",
) -> str:
    return _format_datetime(state, escape, value, date_style, time_style, locale=locale)


TIME_FILTERS: Final[Mapping[str, Filter]] = {
    "date": Filter(
        _date,
        'date: "%-d %B %Y"',
        "by a format of `strftime`, with the names of months and days in the recipient's locale; a second argument "
        'is another time zone. `"now"` is when the message was made',
    ),
    "format_date": Filter(_format_date, 'format_date: "long"', "`short`, `medium`, `long` or `full`"),
    "format_time": Filter(_format_time, 'format_time: "short"', "the same for the time of the day"),
    "format_datetime": Filter(_format_datetime, 'format_datetime: "long", "short"', "both"),
    "format_date_in_locale": Filter(
        _format_date_in_locale, 'format_date_in_locale: "de", "long"', "`format_date` in a locale that you name"
    ),
    "format_datetime_in_locale": Filter(
        _format_datetime_in_locale,
        'format_datetime_in_locale: "de", "long", "short"',
        "`format_datetime` in a locale that you name",
    ),
    "timezone": Filter(_timezone, 'timezone: "Europe/Paris"', "the time there, as ISO 8601"),
}
