"""How far an import has come, kept in a small file, so that it goes on where it was interrupted.

An import happened when it was first started: what says nothing else is stamped with that moment, also what is sent a
week later. Each job has an id made of the file's content, that moment and the job's number. So whatever is sent a
second time is a duplicate, and changes nothing. When an import is complete its state is removed: the same file
imported again later is a new import, with new ids. Where the file says when things were told, or `occurred_at` was
given, that tells nothing new.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from rollbook_ops.importers.documents import NotImportable
from rollbook_ops.importers.lines import Place
from rollbook_ops.importers.records import Options

_VERSION: Final = 1
_SUFFIX: Final = ".rollbook-import.json"
_DIGEST_BYTES: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """One import of one file, and how far it has come."""

    fingerprint: str
    started: int
    """When it was first started, in microseconds since 1970: `occurred_at` of what does not say when it was told."""
    chunk_users: int
    """Users a job; kept, because a job under the same id must hold the same users."""
    offset: int = 0
    line: int = 0
    records: int = 0
    """Of the document that begins there, how many are done."""
    jobs: int = 0
    users: int = 0
    merges: int = 0
    rejected: int = 0
    """Records rejected."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Records that tell nothing of a user, by what they are."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Fields that have no place here, and in how many records."""

    @property
    def place(self) -> Place:
        """Where to read on."""
        return Place(self.offset, self.line, self.records)

    def job_id(self, number: int) -> str:
        """The id of a job of this import, counted from 0."""
        return f"import-{self.fingerprint}-{self.started:x}-{number:07d}"

    def after(
        self,
        place: Place,
        *,
        jobs: int,
        users: int,
        merges: int,
        rejected: int,
        skipped: Counter[str],
        left_out: Counter[str],
    ) -> Import:
        """The import, further on."""
        return replace(
            self,
            offset=place.offset,
            line=place.line,
            records=place.records,
            jobs=self.jobs + jobs,
            users=self.users + users,
            merges=self.merges + merges,
            rejected=self.rejected + rejected,
            skipped=dict(skipped + Counter(self.skipped)),
            left_out=dict(left_out + Counter(self.left_out)),
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
            raise NotImportable(f"{self.path} is of another version of Rollbook; remove it to start anew")
        try:
            return Import(**kept)
        except TypeError:
            raise NotImportable(f"{self.path} is not the state of an import; remove it to start anew") from None

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
    how: list[object] = [options.format, sorted(options.text_columns)]
    if options.anonymous or options.occurred_at:
        how += [options.anonymous, options.occurred_at and options.occurred_at.isoformat()]
    content.update(json.dumps(how).encode())
    return content.hexdigest()
