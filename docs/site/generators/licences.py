"""The licences of everything that an installation has, as the packages themselves say them."""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, distribution
from typing import Final

from docs.site.generators.source import ROOT, table

IMAGE: Final = ROOT / "deploy" / "requirements.lock"
EVERYTHING: Final = ROOT / "requirements.lock"
_PIN: Final = re.compile(r"^([\w.-]+)==([^\s\\;]+)", re.MULTILINE)
_CLASSIFIER: Final = "License :: "
_COPYLEFT: Final = re.compile(r"GPL|MPL|Mozilla|EUPL|CDDL|EPL|GNU", re.IGNORECASE)
_MAX: Final = 60
"""Characters of a licence; some packages put the whole text there."""


def licences() -> dict[str, str]:
    """The licence of each package that is pinned and installed here; others are for another system or Python."""
    found = {name: _licence(name) for name, _ in _PIN.findall(EVERYTHING.read_text())}
    return {name: licence for name, licence in found.items() if licence is not None}


def image() -> set[str]:
    """The packages that the image's lock pins, what builds it included."""
    return {name for name, _ in _PIN.findall(IMAGE.read_text())}


def copyleft() -> dict[str, str]:
    """The packages with a licence that asks to pass on the source of changes to them."""
    return {name: licence for name, licence in licences().items() if _COPYLEFT.search(licence)}


def page() -> str:
    """Two tables: the packages with copyleft, and all."""
    in_image = image()

    def row(name: str, licence: str) -> tuple[str, ...]:
        return f"`{name}`", licence, "yes" if name in in_image else ""

    return "\n\n".join(
        [
            "## Copyleft",
            table("package", "licence", "image", rows=[row(*item) for item in copyleft().items()]),
            "## All packages",
            table("package", "licence", "image", rows=[row(*item) for item in licences().items()]),
        ]
    )


def _licence(name: str) -> str | None:
    try:
        metadata = distribution(name).metadata
    except PackageNotFoundError:
        return None
    said = _field(metadata, "License-Expression")
    classifiers = [
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or [] if line.startswith(_CLASSIFIER)
    ]
    short = _field(metadata, "License").strip().partition("\n")[0]
    return said or "; ".join(classifiers) or short[:_MAX] or "not said"


def _field(metadata: PackageMetadata, name: str) -> str:
    return str((metadata.get_all(name) or [""])[0])
