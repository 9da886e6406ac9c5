"""The table of settings: each variable with its default, its unit and what it means."""

from __future__ import annotations

from docs.site.generators.source import table

from rollbook_shared.settings import all_settings


def page() -> str:
    """The table."""
    rows = [
        (f"`{setting.variable}`", default and f"`{default}`", setting.unit, setting.meaning)
        for setting, default in all_settings()
    ]
    return table("variable", "default", "unit", "what it is", rows=rows)


def variables() -> list[str]:
    """The names of the variables."""
    return [setting.variable for setting, _ in all_settings()]
