"""The style sheet, the script and the icon, served under addresses that change with them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib import resources
from typing import Final

from rollbook_server.console.settings import PATH

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_DIGITS: Final = 12


class Assets:
    """The files of this folder, read once."""

    def __init__(self) -> None:
        files = [file for file in resources.files(__package__).iterdir() if file.name.rpartition(".")[2] in _TYPES]
        self._files: Mapping[str, bytes] = {file.name: file.read_bytes() for file in files}
        self._hashes = {name: sha256(content).hexdigest()[:_DIGITS] for name, content in self._files.items()}

    def path_of(self, name: str) -> str:
        """The address of a file."""
        return f"{PATH}/assets/{self._hashes[name]}/{name}"

    def find(self, name: str, digest: str) -> tuple[bytes, str] | None:
        """The content of a file and its type; None: there is no such file, or it has another content by now."""
        if self._hashes.get(name) != digest:
            return None
        return self._files[name], _TYPES[name.rpartition(".")[2]]
