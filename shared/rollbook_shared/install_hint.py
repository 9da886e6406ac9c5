"""How to install an extra of Rollbook: the one place that knows the distribution's name and where it came from."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from rollbook_shared.errors import NotConfigured

DISTRIBUTION: Final = "rollbook"


def install_hint(extra: str) -> str:
    """Return the command that adds `extra` to the installed Rollbook: `pip install 'rollbook[cli]'`.

    A Rollbook that was installed from a folder, an archive or a repository is named by that (PEP 610): the package
    index may have another version, or a package of this name that is not Rollbook.
    """
    from importlib import metadata  # slow to import, and used only when something is missing

    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:  # the sources are on the path, and nothing is installed
        return f"pip install '.[{extra}]'"
    name = f"{distribution.metadata['Name']}[{extra}]"
    source: dict[str, Any] = json.loads(distribution.read_text("direct_url.json") or "{}")
    match source:
        case {"url": str(url), "vcs_info": {"vcs": vcs}}:
            return f"pip install '{name} @ {vcs}+{url}'"
        case {"url": str(url)} if url.startswith("file:"):
            path = Path(unquote(urlsplit(url).path))
            if not path.exists():  # such as the folder that an image was built from
                return f"pip install '{name}'"
            editable = "-e " if source.get("dir_info", {}).get("editable") else ""
            return f"pip install {editable}'{path}[{extra}]'"
        case {"url": str(url)}:
            return f"pip install '{name} @ {url}'"
    return f"pip install '{name}'"


def missing_extra(feature: str, extra: str) -> NotConfigured:
    """Return the error that says that `feature` needs `extra`, and how to install it."""
    return NotConfigured(f"{feature} needs the extra `{extra}`: {install_hint(extra)}")


def require_extra(feature: str, extra: str, *modules: str) -> None:
    """Check that the top-level `modules` that `extra` brings can be found, without importing them.

    Raises:
        NotConfigured: one of them is not installed.
    """
    if any(importlib.util.find_spec(module) is None for module in modules):
        raise missing_extra(feature, extra)


def exit_without_extra(feature: str, extra: str, *modules: str) -> None:
    """End the process with one line on stderr unless `modules` are installed, for programs that import them at once."""
    try:
        require_extra(feature, extra, *modules)
    except NotConfigured as error:
        print(f"rollbook: {error}", file=sys.stderr)
        sys.exit(2)
