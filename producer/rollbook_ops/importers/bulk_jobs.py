"""The import: read a chunk, send it, save the checkpoint. In this order, a stop repeats some records and skips none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from rollbook.formats.records import FieldNames, MergeRecord, RejectedRecord, SkippedRecord, UserRecord, join_path
from rollbook_ops.importers.bad_fields import without_fields
from rollbook_ops.importers.checkpoint import Checkpoint, CheckpointFile
from rollbook_ops.importers.reader import ImportOptions, read_records
from rollbook_ops.importers.records import Record
from rollbook_ops.importers.rejected_rows import RejectedRow, RejectedRows, Rejection
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.errors import InvalidRequest, Problem

_MAX_SKIPPED: Final = 20
"""Skipped records in a chunk, in multiples of its users, so that a log with few users in it still makes large jobs."""


class UserSink(Protocol):
    """Where an import sends users: the part of `rb.users` that it needs.

    Both methods raise `InvalidRequest` if something is invalid, and then nothing was sent; each problem of a user has
    its index.
    """

    def bulk_identify(
        self,
        users: Sequence[Mapping[str, Any]],
        *,
        timestamps: Sequence[datetime] | None,
        job_id: str,
        occurred_at: datetime,
    ) -> object: ...

    def merge(self, user_id: str, from_user_id: str, *, job_id: str, occurred_at: datetime) -> object: ...


def import_users(
    sink: UserSink,
    source: Path,
    options: ImportOptions,
    checkpoint: Checkpoint,
    *,
    checkpoint_file: CheckpointFile,
    rejected_rows: RejectedRows,
    on_progress: Callable[[Checkpoint], None] = lambda checkpoint: None,
) -> Checkpoint:
    """Send the users of `source` from `checkpoint` on, and return the checkpoint at the end of the file.

    After each chunk the checkpoint is saved and `on_progress` is called. After an interruption at any time (an
    exception, a kill) the import continues from the saved checkpoint: it sends the jobs of at most one chunk again, as
    duplicates.
    """
    checkpoint_file.save(checkpoint)
    with source.open("rb") as file:
        for chunk in _chunks(read_records(file, options, checkpoint.position), checkpoint.chunk_users):
            result = _send_chunk(sink, chunk, checkpoint, options)
            rejected_rows.add(result.rejections)
            checkpoint = _advance(checkpoint, chunk, result)
            checkpoint_file.save(checkpoint)
            on_progress(checkpoint)
    checkpoint_file.remove()
    return checkpoint


def _chunks(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    """Yield lists of `size` records with a user, together with the other records between them."""
    chunk: list[Record] = []
    users = skipped = 0
    for record in records:
        chunk.append(record)
        users += isinstance(record.content, UserRecord)
        skipped += isinstance(record.content, SkippedRecord)
        # Rejected records fill chunks too: a file that holds nothing else must not collect in memory.
        if users == size or len(chunk) - skipped == 2 * size or skipped == _MAX_SKIPPED * size:
            yield chunk
            chunk, users, skipped = [], 0, 0
    if chunk:
        yield chunk


@dataclass(slots=True)
class _ChunkResult:
    """What was sent and rejected of a chunk. It depends only on the records: the same records make the same jobs."""

    jobs: int = 0
    users: int = 0
    merges: int = 0
    bad_fields: int = 0
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        return sum(not rejection.is_sent for rejection in self.rejections)

    def reject(
        self,
        record: Record,
        problems: Sequence[Problem],
        names: FieldNames,
        occurred_at: datetime,
        *,
        is_sent: bool = False,
    ) -> None:
        """Add the problems of a record, with the fields as the file names them."""
        rows = [
            RejectedRow(record.line, join_path(record.path, names.name_of(problem)), problem.reason)
            for problem in problems
        ]
        self.rejections.append(Rejection(record, rows, occurred_at, is_sent))


def _send_chunk(
    sink: UserSink, chunk: Sequence[Record], checkpoint: Checkpoint, options: ImportOptions
) -> _ChunkResult:
    result = _ChunkResult()
    default_time = options.occurred_at or datetime_of(checkpoint.started)
    for record in chunk:
        if isinstance(record.content, RejectedRecord):
            result.reject(record, record.content.problems, FieldNames(), record.first_import or default_time)
    _send_users(sink, chunk, checkpoint, options, default_time, result)
    _send_merges(sink, chunk, checkpoint, default_time, result)
    result.rejections.sort(key=lambda rejection: rejection.record.line)
    return result


def _send_users(
    sink: UserSink,
    chunk: Sequence[Record],
    checkpoint: Checkpoint,
    options: ImportOptions,
    default_time: datetime,
    result: _ChunkResult,
) -> None:
    """Send the users that the client accepts, as one job."""
    valid = [(record, record.content) for record in chunk if isinstance(record.content, UserRecord)]
    while valid:
        timestamps = [content.occurred_at or default_time for _, content in valid]
        try:
            sink.bulk_identify(
                [content.user for _, content in valid],
                timestamps=timestamps if any(content.occurred_at for _, content in valid) else None,
                job_id=checkpoint.job_id(checkpoint.jobs + result.jobs),
                occurred_at=max(timestamps),
            )
        except InvalidRequest as error:
            if all(problem.index is None for problem in error.problems):
                raise
            rest = []
            for index, ((record, content), time) in enumerate(zip(valid, timestamps, strict=True)):
                problems = [problem for problem in error.problems if problem.index == index]
                kept: UserRecord | None = content
                if problems:
                    kept = without_fields(content, problems) if options.skip_bad_fields else None
                    result.reject(record, problems, content.names, time, is_sent=kept is not None)
                    result.bad_fields += 0 if kept is None else len(content.user) - len(kept.user)
                if kept is not None:
                    rest.append((record, kept))
            valid = rest
        else:
            result.jobs += 1
            result.users = len(valid)
            return


def _send_merges(
    sink: UserSink, chunk: Sequence[Record], checkpoint: Checkpoint, default_time: datetime, result: _ChunkResult
) -> None:
    """Send each merge once. Every call of a visit names the visitor together with the user."""
    sent: list[tuple[str, str]] = []
    for record in chunk:
        if not isinstance(content := record.content, MergeRecord):
            continue
        pair = (content.primary_id, content.secondary_id)
        if pair in sent:
            continue
        sent.append(pair)
        job_id = checkpoint.job_id(checkpoint.jobs + result.jobs)
        time = content.occurred_at or default_time
        try:
            sink.merge(*pair, job_id=job_id, occurred_at=time)
        except InvalidRequest as error:
            result.reject(record, error.problems, content.names, time)
        else:
            result.jobs += 1
            result.merges += 1


def _advance(checkpoint: Checkpoint, chunk: Sequence[Record], result: _ChunkResult) -> Checkpoint:
    """Return the checkpoint after the chunk."""
    contents = [record.content for record in chunk]
    return checkpoint.advance(
        chunk[-1].end,
        jobs=result.jobs,
        users=result.users,
        merges=result.merges,
        rejected=result.rejected,
        bad_fields=result.bad_fields,
        skipped=Counter(content.kind for content in contents if isinstance(content, SkippedRecord)),
        left_out=Counter(name for content in contents if isinstance(content, UserRecord) for name in content.left_out),
        warnings=Counter(text for content in contents if isinstance(content, UserRecord) for text in content.warnings),
    )
