"""deploy/systemd as systemd reads it: units with their settings, lines joined, specifiers filled in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.repository import ROOT

FOLDER: Final = ROOT / "deploy" / "systemd"
HOME: Final = "/opt/rollbook"
SANDBOX: Final = "rollbook-.service.d/confined.conf"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, or what is added to one; a template as its first instance."""

    name: str
    settings: Mapping[str, list[str]]
    """Of each key all values, in their order; those of a section are known by its name: `Service.ExecStart`."""

    def value(self, key: str) -> str:
        (only,) = self.settings[key]
        return only

    @property
    def command(self) -> list[str]:
        """What it runs, of Rollbook's programs."""
        program, *arguments = shlex.split(self.value("Service.ExecStart"))
        return [program.removeprefix(f"{HOME}/bin/"), *arguments]

    @property
    def variables(self) -> dict[str, str]:
        """Those that it sets itself."""
        return dict(setting.split("=", 1) for setting in self.settings.get("Service.Environment", []))

    @property
    def files(self) -> list[str]:
        """Where its other variables come from; a leading `-` is for one that may be missing."""
        return self.settings.get("Service.EnvironmentFile", [])


def read(name: str, instance: str = "1") -> Unit:
    """Read a file below deploy/systemd."""
    section, settings = "", dict[str, list[str]]()
    for line in (FOLDER / name).read_text().replace("\\\n", " ").splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line):
            section = found[1]
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            full = name.partition("@")[0] + (f"@{instance}" if "@" in name else "")
            settings.setdefault(f"{section}.{key}", []).append(_filled(value, instance, Path(full).stem))
    return Unit(name, settings)


def variables_of(file: Path) -> dict[str, str]:
    """What an environment file sets."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _filled(value: str, instance: str, name: str) -> str:
    specifiers = {"%%": "%", "%i": instance, "%t": "/run", "%N": name}
    return re.sub(r"%.", lambda found: specifiers[found[0]], value)


PROCESS_OF: Final = {
    path.name: re.sub(r"^rollbook-|@?\.service$", "", path.name) for path in sorted(FOLDER.glob("*.service"))
}
"""Each unit, and which of Rollbook's processes it is."""
