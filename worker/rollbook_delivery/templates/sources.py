"""The folder of templates, read at once: what is rendered later is what was there together.

welcome/email.html.liquid      the workflow `welcome` on the channel `email`, or on any channel of this type
welcome/email.txt.liquid       the same as text; both make one mail
welcome/email.de.txt.liquid    for recipients whose locale is German
welcome/push.liquid            text, too
_default/push.liquid           for workflows that have no template of their own
_layouts/default.html.liquid   around templates whose front matter says `layout: default`
_partials/footer.html.liquid   what `{% render "footer" %}` includes
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rollbook_delivery.templates.bounds import FILE_BYTES, FILES
from rollbook_delivery.templates.front_matter import FrontMatter, InvalidFrontMatter, parse_front_matter
from rollbook_shared.errors import NotConfigured

SUFFIX: Final = ".liquid"
_DEPTH: Final = 10
"""Folders within folders; more is a mistake, or a loop."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Why a file is no template."""

    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its path below the folder, with `/`, and its text or what is wrong with it."""

    name: str
    content: FrontMatter | SourceProblem


Version = tuple[int, int, int]
"""Of a file: when it was changed in nanoseconds, its size, its inode."""


class TemplateFolder:
    """The folder on disk. Files outside of it are never read, whatever links in it say."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Find the folder.

        Raises:
            NotConfigured: there is none, or it may not be read.
        """
        self.path = Path(path)
        try:
            self._root = self.path.resolve(strict=True)
            os.scandir(self._root).close()
        except OSError as error:
            raise NotConfigured(f"the folder of templates {path} cannot be read: {error.strerror}") from None

    def versions(self) -> Mapping[str, Version]:
        """The files that are there now: two equal answers mean that nothing has changed.

        Raises:
            OSError: the folder cannot be read.
        """
        versions: dict[str, Version] = {}
        for name, path in self._files():
            try:
                found = path.stat()
            except OSError:  # removed since, or a link to nothing
                continue
            versions[name] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return versions

    def read(self) -> Mapping[str, Source]:
        """All templates, by name; one that cannot be read says why.

        Raises:
            OSError: the folder cannot be read.
        """
        return {name: Source(name, self._content(path)) for name, path in self._files()}

    def _content(self, path: Path) -> FrontMatter | SourceProblem:
        try:
            if not path.resolve(strict=True).is_relative_to(self._root):
                return SourceProblem(None, "the link leads out of the folder")
            if not path.is_file():
                return SourceProblem(None, "it is no file")
            with path.open("rb") as file:
                raw = file.read(FILE_BYTES + 1)
        except OSError as error:
            return SourceProblem(None, f"it cannot be read: {error.strerror}")
        return parse_source(raw)

    def _files(self) -> Iterator[tuple[str, Path]]:
        for count, (name, path) in enumerate(_walk(self._root, self._root, "", _DEPTH)):
            if count >= FILES:
                raise NotConfigured(f"the folder of templates {self.path} holds more than {FILES:,} templates")
            yield name, path


def parse_source(raw: bytes) -> FrontMatter | SourceProblem:
    """What a file holds."""
    if len(raw) > FILE_BYTES:
        return SourceProblem(None, f"it is longer than {FILE_BYTES // 1024} KiB")
    try:
        return parse_front_matter(raw.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError:
        return SourceProblem(None, "it is not UTF-8")
    except InvalidFrontMatter as error:
        return SourceProblem(error.line, error.reason)


def _walk(root: Path, folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
    """The templates below `folder`. Links to folders are followed within `root` only: Kubernetes makes them."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):  # of editors, of version control, of Kubernetes
            continue
        path = folder / entry.name
        if entry.is_dir():
            inside = not entry.is_symlink() or path.resolve().is_relative_to(root)
            if depth and inside:
                yield from _walk(root, path, f"{prefix}{entry.name}/", depth - 1)
        elif entry.name.endswith(SUFFIX):
            yield f"{prefix}{entry.name}", path
