"""docker-compose.yml as compose reads it: merged, with its variables filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tests.support.repository import ROOT
from tests.support.yaml_files import load_yaml

TEXT: Final = (ROOT / "docker-compose.yml").read_text()
_VARIABLE: Final = re.compile(r"\$(?:\$|\{(\w+)(?::-([^}]*))?\})")


def variables(text: str = TEXT) -> dict[str, set[str]]:
    """Each `${NAME:-default}`, with all its defaults."""
    found: dict[str, set[str]] = {}
    for name, default in _VARIABLE.findall(text):
        if name:
            found.setdefault(name, set()).add(default)
    return found


def filled(value: Any, given: Mapping[str, str]) -> Any:
    """A value of the file with its variables as they are given, else with their defaults."""
    match value:
        case str():
            return _VARIABLE.sub(lambda found: given.get(found[1]) or found[2] if found[1] else "$", value)
        case list():
            return [filled(item, given) for item in value]
        case dict():
            return {name: filled(item, given) for name, item in value.items()}
    return value


COMPOSE: Final[dict[str, Any]] = filled(load_yaml(TEXT), {})
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name: service for name, service in SERVICES.items() if service["image"] == "rollbook"}


def seconds(duration: str) -> float:
    """Of a duration as compose writes them: 45s, 1m30s."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def named_services(arguments: list[str]) -> list[str]:
    known = {"up", "stop", "start", "ps", "exec", "logs", "50", "kill", "HUP"}
    words = [word.partition("=")[0] for word in arguments[1:] if not word.startswith("-")]
    program = next((at for at, word in enumerate(words) if word in ("python", "psql")), len(words))
    return [word for word in words[:program] if word not in known]
