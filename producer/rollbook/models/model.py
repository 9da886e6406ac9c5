"""What all models have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any


class Model:
    """A value that reads return. It can be made JSON."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """The value as JSON has it: times as ISO 8601 text, models as dicts, a missing actor as its marker."""
        return {field.name: _as_json(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]


def _as_json(value: Any) -> Any:
    match value:
        case Model():
            return value.as_dict()
        case datetime():
            return value.isoformat()
        case Mapping():
            return {name: _as_json(item) for name, item in value.items()}
        case tuple() | list():
            return [_as_json(item) for item in value]
        case str():
            return str(value)  # also of an enumeration
        case _:
            return value
