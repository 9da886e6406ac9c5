"""Environment variables as fields of dataclasses. The annotation of a field holds its `Setting`, from which it is read
and documented: `batch_size: Annotated[int, Number("ROLLBOOK_BATCH_SIZE", "...", least=1)] = 200`.

pydantic-settings was tried for this. It takes 85 ms to import after pydantic, depends on python-dotenv, knows no
durations in hours or days, and its errors quote the value, which may hold a password.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Final, Literal, get_type_hints

from rollbook_shared.errors import NotConfigured

MAX_VALUE: Final = 1e8
"""No setting is larger: as days it is still a time that Python can hold."""


@dataclass(frozen=True)
class Setting:
    """An environment variable of any text."""

    variable: str
    meaning: str
    unit: str = ""
    """`bytes`, `seconds`, `hours` or `days`; empty: none."""

    def parse(self, text: str) -> Any:
        """The field's value.

        Raises:
            ValueError: the text cannot be used; the error says what it must be, and does not quote it.
        """
        return text

    def format(self, value: Any) -> str:
        """The text that stands for the field's value; empty for None."""
        return "" if value is None else str(value)


@dataclass(frozen=True)
class Number(Setting):
    """An environment variable that holds a whole number."""

    least: int = 0
    most: float = MAX_VALUE

    def parse(self, text: str) -> int:
        """See `Setting`."""
        return int(_number(text, self.least, self.most))


@dataclass(frozen=True)
class Duration(Setting):
    """An environment variable that holds a time, as a number of its unit."""

    unit: Literal["seconds", "hours", "days"] = "seconds"
    least: int = 0

    def parse(self, text: str) -> timedelta:
        """See `Setting`."""
        return _number(text, self.least, MAX_VALUE) * timedelta(**{self.unit: 1})

    def format(self, value: timedelta | None) -> str:
        """See `Setting`."""
        return "" if value is None else f"{value / timedelta(**{self.unit: 1}):g}"


@dataclass(frozen=True)
class Choice(Setting):
    """An environment variable that holds one of the values of an enumeration."""

    kind: type[StrEnum] = StrEnum

    def parse(self, text: str) -> StrEnum:
        """See `Setting`."""
        if text not in set(self.kind):
            raise ValueError(" or ".join(self.kind))
        return self.kind(text)


def settings_of(owner: type) -> Mapping[str, Setting]:
    """The settings of a dataclass, by field."""
    return _settings_of(owner)


def settings_with_defaults(defaults: object) -> Iterator[tuple[Setting, str]]:
    """The settings of a dataclass, each with the text of its value in `defaults`."""
    for name, setting in settings_of(type(defaults)).items():
        yield setting, setting.format(getattr(defaults, name))


@cache
def _settings_of(owner: type) -> Mapping[str, Setting]:
    return {
        name: setting
        for name, hint in get_type_hints(owner, include_extras=True).items()
        for setting in getattr(hint, "__metadata__", ())
        if isinstance(setting, Setting)
    }


def read_fields(owner: type, env: Mapping[str, str]) -> dict[str, Any]:
    """The values of the fields whose variable is set, and not empty.

    Raises:
        NotConfigured: a variable has a value that cannot be used.
    """
    values = {}
    for name, setting in settings_of(owner).items():
        if text := env.get(setting.variable):
            try:
                values[name] = setting.parse(text)
            except ValueError as error:
                raise NotConfigured(f"{setting.variable} must be {error}") from None
    return values


def _number(text: str, least: int, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise ValueError(f"a number from {least} to {most:,.0f}")
    return number
