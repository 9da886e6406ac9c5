"""The checkpoint of an import, kept in a small file, so that an interrupted import continues where it stopped.

An import happened when it was first started: records without a time of their own are stamped with that time, even if
they are sent a week later. Each job's id is made of the file's content, that time and the job's number. So a job that
is sent a second time is a duplicate and changes nothing. A complete import removes its checkpoint: if the same file is
imported again later, that is a new import with new ids. Where the file has the times of its values, or `occurred_at`
was given, the new import changes nothing.
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

from rollbook_ops.file_format import NotImportable
from rollbook_ops.importers.lines import FilePosition
from rollbook_ops.importers.reader import ImportOptions
from rollbook_shared.private_file import create_private_file

_VERSION: Final = 1
_SUFFIX: Final = ".rollbook-import.json"
_DIGEST_BYTES: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """One import of one file, and how far it has come."""

    fingerprint: str
    started: int
    """When the import was first started, in microseconds since 1970: the time of records without one of their own."""
    chunk_users: int
    """Users in a job. It is kept, because a job under the same id must hold the same users."""
    offset: int = 0
    line: int = 0
    records: int = 0
    """How many records of the document at this position are done."""
    jobs: int = 0
    users: int = 0
    merges: int = 0
    rejected: int = 0
    """Records rejected."""
    bad_fields: int = 0
    """Invalid fields that were left out of users that were sent."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Records that are not about a user, by their kind."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Fields that Rollbook has no place for, and the number of records that have them."""
    warnings: Mapping[str, int] = field(default_factory=dict)
    """What looks like a mistake, and in how many records."""

    @property
    def position(self) -> FilePosition:
        """Where to continue reading."""
        return FilePosition(self.offset, self.line, self.records)

    def job_id(self, number: int) -> str:
        """Return the id of a job of this import, counted from 0."""
        return f"import-{self.fingerprint}-{self.started:x}-{number:07d}"

    def advance(
        self,
        position: FilePosition,
        *,
        jobs: int,
        users: int,
        merges: int,
        rejected: int,
        bad_fields: int,
        skipped: Counter[str],
        left_out: Counter[str],
        warnings: Counter[str],
    ) -> Checkpoint:
        """Return the checkpoint after a further chunk, which ends at `position`."""
        return replace(
            self,
            offset=position.offset,
            line=position.line,
            records=position.records,
            jobs=self.jobs + jobs,
            users=self.users + users,
            merges=self.merges + merges,
            rejected=self.rejected + rejected,
            bad_fields=self.bad_fields + bad_fields,
            skipped=dict(skipped + Counter(self.skipped)),
            left_out=dict(left_out + Counter(self.left_out)),
            warnings=dict(warnings + Counter(self.warnings)),
        )


class CheckpointFile:
    """The file with the checkpoint of importing `source`: next to it, or in the folder `directory`."""

    def __init__(self, source: Path, directory: Path | None = None) -> None:
        source = source.absolute()
        # A shared folder may receive the checkpoints of files of one name from several folders.
        path_digest = hashlib.blake2b(bytes(source), digest_size=4).hexdigest() if directory else ""
        self.path = (directory or source.parent) / f"{source.name}{'.' if path_digest else ''}{path_digest}{_SUFFIX}"

    def load(self) -> Checkpoint | None:
        """Return the checkpoint of an interrupted import, if there is one."""
        try:
            saved = json.loads(self.path.read_text())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise NotImportable(f"{self.path} cannot be read ({error}); remove it to start again") from None
        if not isinstance(saved, dict) or saved.pop("version", None) != _VERSION:
            raise NotImportable(f"{self.path} was written by another version of Rollbook; remove it to start again")
        try:
            return Checkpoint(**saved)
        except TypeError:
            raise NotImportable(f"{self.path} is not the state of an import; remove it to start again") from None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint. The file is complete even if the process is killed while it writes."""
        new = self.path.with_name(self.path.name + ".new")
        try:
            with create_private_file(new) as file:
                json.dump({"version": _VERSION, **asdict(checkpoint)}, file)
            os.replace(new, self.path)
        except OSError as error:
            raise NotImportable(
                f"{self.path} cannot be written ({error.strerror}); choose a folder with --state"
            ) from None

    def remove(self) -> None:
        """Remove the checkpoint. Idempotent."""
        self.path.unlink(missing_ok=True)


class NoCheckpointFile(CheckpointFile):
    """In place of the file, for an import that cannot be continued: of a pipe, or one that sends nothing."""

    def load(self) -> Checkpoint | None:
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        pass

    def remove(self) -> None:
        pass


def fingerprint(source: Path, options: ImportOptions) -> str:
    """Return a digest of the file's bytes and of the options that say how to read them."""
    with source.open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES))
    how: list[object] = [options.format, sorted(options.text_columns)]
    if options.anonymous or options.occurred_at:
        how += [options.anonymous, options.occurred_at and options.occurred_at.isoformat()]
    if options.renamed or options.strip or options.skip_bad_fields:
        how += [sorted(options.renamed.items()), options.strip, options.skip_bad_fields]
    content.update(json.dumps(how).encode())
    return content.hexdigest()
