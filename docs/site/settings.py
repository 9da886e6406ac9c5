"""The table of settings: each variable that the code reads, its default and what its field says."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final

from docs.site.source import table, texts_below

from rollbook_shared.errors import NotConfigured
from rollbook_shared.settings import Settings

_TRIALS: Final = ("1", "3", "json", "stock", "another")
"""One of them is, for any variable, a value that is accepted and not the default."""


@dataclass(frozen=True)
class Setting:
    """One environment variable."""

    variable: str
    default: str
    meaning: str


def page() -> str:
    """The table."""
    rows = [(f"`{found.variable}`", found.default, found.meaning) for found in settings()]
    return table("variable", "default", "what it is", rows=rows)


def settings() -> list[Setting]:
    """Every variable, in the order in which the code reads it."""
    return [_setting(variable) for variable in variables()]


def variables() -> list[str]:
    """The names of the variables."""
    seen: dict[str, None] = {}

    class Environment(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            seen[key] = None
            return default

    Settings.from_env(Environment())
    return list(seen)


def _setting(variable: str) -> Setting:
    path, default = _changed_by(variable)
    owner = type(Settings().limits) if len(path) > 1 else Settings
    return Setting(variable, _shown(variable, default), texts_below(owner)[path[-1]])


def _changed_by(variable: str) -> tuple[tuple[str, ...], Any]:
    """The field that the variable sets, and its default."""
    for trial in _TRIALS:
        try:
            changed, default = _values(Settings.from_env({variable: trial})), _values(Settings())
        except NotConfigured:
            continue
        for path in default:
            if changed[path] != default[path]:
                return path, default[path]
    raise LookupError(f"no setting follows from {variable}")


def _values(settings: Settings) -> dict[tuple[str, ...], object]:
    values: dict[tuple[str, ...], object] = {(field.name,): getattr(settings, field.name) for field in fields(settings)}
    limits = values.pop(("limits",))
    return values | {("limits", field.name): getattr(limits, field.name) for field in fields(settings.limits)}


def _shown(variable: str, default: Any) -> str:
    if isinstance(default, timedelta):
        unit = timedelta(**{variable.rpartition("_")[2].lower(): 1})
        default = f"{default / unit:g}"
    return "" if default is None else f"`{default}`"
