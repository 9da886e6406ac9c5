"""The import itself: read, chunk, send, remember; in this order, so a stop in between repeats some, and skips none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from rollbook_ops.importers.checkpoint import Import, StateFile
from rollbook_ops.importers.contents import Merged, Names, Record, Rejected, Skipped, Told, joined
from rollbook_ops.importers.records import Options, read_records
from rollbook_ops.importers.rejected_rows import RejectedRow, RejectedRows
from rollbook_shared.domain.stamps import datetime_of
from rollbook_shared.errors import InvalidRequest, Problem

_SKIPPED_AT_ONCE: Final = 20
"""Times the size of a chunk: a log in which few records tell of users is sent in chunks that are not too small."""


class Users(Protocol):
    """Where an import goes: the part of `rb.users` that it needs.

    Both raise `InvalidRequest` when something is wrong, and nothing was sent; each problem of a user names its index.
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
    users: Users,
    source: Path,
    options: Options,
    state: Import,
    *,
    keep: StateFile,
    rejected_rows: RejectedRows,
    advance: Callable[[Import], None] = lambda state: None,
) -> Import:
    """Send what `source` tells of users from where `state` stands, and return the state at the end of the file.

    After each chunk the state is kept and `advance` is told. Interrupted at any moment (an exception, a kill), it goes
    on with the state that was kept: the jobs of at most one chunk are sent again, as duplicates.
    """
    keep.save(state)
    with source.open("rb") as file:
        for chunk in _chunks(read_records(file, options, state.place), state.chunk_users):
            sent = _send(users, chunk, state, options)
            rejected_rows.add(sent.rejected, records=sent.refused_records)
            state = _counted(state, chunk, sent)
            keep.save(state)
            advance(state)
    keep.remove()
    return state


def _chunks(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    """Lists of `size` records that hold a user, with the records between them that do not."""
    chunk: list[Record] = []
    users = skipped = 0
    for record in records:
        chunk.append(record)
        users += isinstance(record.content, Told)
        skipped += isinstance(record.content, Skipped)
        # Rejected records fill chunks too: a file of nothing else must not gather in memory.
        if users == size or len(chunk) - skipped == 2 * size or skipped == _SKIPPED_AT_ONCE * size:
            yield chunk
            chunk, users, skipped = [], 0, 0
    if chunk:
        yield chunk


@dataclass(slots=True)
class _Sent:
    """What became of a chunk. It follows from the records alone: the same ones make the same jobs again."""

    jobs: int = 0
    users: int = 0
    merges: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)
    refused_records: int = 0

    def refuse(self, record: Record, problems: Sequence[Problem], names: Names) -> None:
        """Note what is wrong with a record, with the fields as the file's author knows them."""
        self.refused_records += 1
        self.rejected += [
            RejectedRow(record.line, joined(record.within, names.of(problem)), problem.reason) for problem in problems
        ]


def _send(users: Users, chunk: Sequence[Record], state: Import, options: Options) -> _Sent:
    sent = _Sent()
    otherwise_at = options.occurred_at or datetime_of(state.started)
    for record in chunk:
        if isinstance(record.content, Rejected):
            sent.refuse(record, record.content.problems, Names())
    _send_users(users, chunk, state, otherwise_at, sent)
    _send_merges(users, chunk, state, otherwise_at, sent)
    sent.rejected.sort(key=lambda refusal: refusal.line)
    return sent


def _send_users(users: Users, chunk: Sequence[Record], state: Import, otherwise_at: datetime, sent: _Sent) -> None:
    """Send what the face takes, as one job."""
    good = [(record, record.content) for record in chunk if isinstance(record.content, Told)]
    while good:
        timestamps = [told.at or otherwise_at for _, told in good]
        try:
            users.bulk_identify(
                [told.user for _, told in good],
                timestamps=timestamps if any(told.at for _, told in good) else None,
                job_id=state.job_id(state.jobs + sent.jobs),
                occurred_at=max(timestamps),
            )
        except InvalidRequest as error:
            bad: dict[int, list[Problem]] = {}
            for problem in error.problems:
                if problem.index is not None:
                    bad.setdefault(problem.index, []).append(problem)
            if not bad:
                raise
            for index, problems in sorted(bad.items()):
                record, told = good[index]
                sent.refuse(record, problems, told.names)
            good = [pair for index, pair in enumerate(good) if index not in bad]
        else:
            sent.jobs += 1
            sent.users = len(good)
            return


def _send_merges(users: Users, chunk: Sequence[Record], state: Import, otherwise_at: datetime, sent: _Sent) -> None:
    """Send each merge once; a visitor is named with the user in every call of a visit."""
    done: list[tuple[str, str]] = []
    for record in chunk:
        if not isinstance(merged := record.content, Merged):
            continue
        pair = (merged.primary_id, merged.secondary_id)
        if pair in done:
            continue
        done.append(pair)
        job_id = state.job_id(state.jobs + sent.jobs)
        try:
            users.merge(*pair, job_id=job_id, occurred_at=merged.at or otherwise_at)
        except InvalidRequest as error:
            sent.refuse(record, error.problems, merged.names)
        else:
            sent.jobs += 1
            sent.merges += 1


def _counted(state: Import, chunk: Sequence[Record], sent: _Sent) -> Import:
    """The state after the chunk."""
    contents = [record.content for record in chunk]
    return state.after(
        chunk[-1].end,
        jobs=sent.jobs,
        users=sent.users,
        merges=sent.merges,
        rejected=sent.refused_records,
        skipped=Counter(content.what for content in contents if isinstance(content, Skipped)),
        left_out=Counter(name for content in contents if isinstance(content, Told) for name in content.left_out),
    )
