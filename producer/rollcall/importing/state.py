"""How far an import has come, kept in a small file, so that it goes on where it was interrupted.

An import happened when it was first started: every job of it is stamped with that moment, also those sent a week
later, and has an id made of the file's content, that moment and the job's number. So whatever is sent a second time
is a duplicate, and changes nothing. When an import is complete its state is removed: the same file imported again
later is a new import, with a new stamp.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from rollcall.importing.records import NotImportable, Options, Place

_VERSION: Final = 1
_SUFFIX: Final = ".rollcall-import.json"
_DIGEST_BYTES: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """One import of one file, and how far it has come."""

    fingerprint: str
    started: int
    """When it was first started, in microseconds since 1970: `occurred_at` of all its jobs."""
    chunk_users: int
    """Users a job; kept, because a job under the same id must hold the same users."""
    offset: int = 0
    line: int = 0
    jobs: int = 0
    users: int = 0
    refused: int = 0
    """Lines refused."""

    @property
    def place(self) -> Place:
        """Where to read on."""
        return Place(self.offset, self.line)

    def job_id(self, number: int) -> str:
        """The id of a job of this import, counted from 0."""
        return f"import-{self.fingerprint}-{self.started:x}-{number:07d}"

    def after(self, place: Place, *, jobs: int, users: int, refused: int) -> Import:
        """The import, further on."""
        return replace(
            self,
            offset=place.offset,
            line=place.line,
            jobs=self.jobs + jobs,
            users=self.users + users,
            refused=self.refused + refused,
        )


class StateFile:
    """Where the state of importing `source` is kept: beside it, or in the folder `directory`."""

    def __init__(self, source: Path, directory: Path | None = None) -> None:
        source = source.absolute()
        # In a folder that files of several folders share, two may have one name.
        where = hashlib.blake2b(bytes(source), digest_size=4).hexdigest() if directory else ""
        self.path = (directory or source.parent) / f"{source.name}{'.' if where else ''}{where}{_SUFFIX}"

    def load(self) -> Import | None:
        """The state of an import that was interrupted, if there is one."""
        try:
            kept = json.loads(self.path.read_text())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise NotImportable(f"{self.path} cannot be read ({error}); remove it to start anew") from None
        if not isinstance(kept, dict) or kept.pop("version", None) != _VERSION:
            raise NotImportable(f"{self.path} is of another version of Rollcall; remove it to start anew")
        return Import(**kept)

    def save(self, state: Import) -> None:
        """Keep `state`, whole even if we are killed meanwhile."""
        new = self.path.with_name(self.path.name + ".new")
        try:
            new.write_text(json.dumps({"version": _VERSION, **asdict(state)}))
            os.replace(new, self.path)
        except OSError as error:
            raise NotImportable(
                f"{self.path} cannot be written ({error.strerror}); choose a folder with --state"
            ) from None

    def remove(self) -> None:
        """Forget the import. Idempotent."""
        self.path.unlink(missing_ok=True)


def fingerprint(source: Path, options: Options) -> str:
    """What tells this file, read in this way, from every other one: a digest of all its bytes."""
    with source.open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES))
    content.update(json.dumps([options.format, sorted(options.text_columns)]).encode())
    return content.hexdigest()
