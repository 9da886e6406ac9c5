"""The table of settings: each variable with its default, its unit and what it means."""

from __future__ import annotations

from collections.abc import Iterator

from docs.site.generators.source import table

from rollbook_server.console.settings import ConsoleSettings
from rollbook_server.settings import ServerSettings
from rollbook_shared.environment import Setting, settings_with_defaults
from rollbook_shared.settings import all_settings


def page() -> str:
    """The table."""
    rows = [
        (f"`{setting.variable}`", default and f"`{default}`", setting.unit, setting.meaning)
        for setting, default in _every_setting()
    ]
    return table("variable", "default", "unit", "what it is", rows=rows)


def variables() -> list[str]:
    """The names of the variables."""
    return [setting.variable for setting, _ in _every_setting()]


def _every_setting() -> Iterator[tuple[Setting, str]]:
    yield from all_settings()
    yield from settings_with_defaults(ServerSettings())
    yield from settings_with_defaults(ConsoleSettings())
