"""The import itself: read, chunk, send, remember; in this order, so a stop in between repeats some, and skips none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from rollcall.importing.records import Options, Record, read_records
from rollcall.importing.refusals import Refusal, Refusals
from rollcall.importing.state import Import, StateFile
from rollcall_shared.errors import InvalidJob
from rollcall_shared.stamps import moment

_FIELD_PREFIX: Final = "users["


class BulkIdentify(Protocol):
    """Send one bulk job, as `rc.users.bulk_identify` does.

    Raises:
        InvalidJob: nothing was sent; each problem names the user's index.
    """

    def __call__(self, users: Sequence[Mapping[str, Any]], *, job_id: str, occurred_at: datetime) -> object: ...


def import_users(
    send: BulkIdentify,
    source: Path,
    options: Options,
    state: Import,
    *,
    keep: StateFile,
    refusals: Refusals,
    advance: Callable[[Import], None] = lambda state: None,
) -> Import:
    """Send the users of `source` from where `state` stands, and return the state at the end of the file.

    After each job the state is kept and `advance` is told. Interrupted at any moment (an exception, a kill), it goes
    on with the state that was kept: at most one job is sent again, as a duplicate.
    """
    keep.save(state)
    with source.open("rb") as file:
        for chunk in _chunks(read_records(file, options, state.place), state.chunk_users):
            refused, users = _send(send, chunk, state)
            refusals.add(refused)
            lines = len({refusal.line for refusal in refused})
            state = state.after(chunk[-1].end, jobs=1 if users else 0, users=users, refused=lines)
            keep.save(state)
            advance(state)
    keep.remove()
    return state


def _chunks(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    """Lists of `size` records that hold a user, with the records between them that do not."""
    chunk: list[Record] = []
    users = 0
    for record in records:
        chunk.append(record)
        users += record.user is not None
        # Refused records fill chunks too: a file of nothing else must not gather in memory.
        if users == size or len(chunk) == 2 * size:
            yield chunk
            chunk, users = [], 0
    if chunk:
        yield chunk


def _send(send: BulkIdentify, chunk: list[Record], state: Import) -> tuple[list[Refusal], int]:
    """Send what the face takes of the chunk; return what is refused, and the number of users sent."""
    refused = [Refusal(record.line, "", record.reason) for record in chunk if record.user is None]
    good = [record for record in chunk if record.user is not None]
    while good:
        users = [record.user for record in good if record.user is not None]
        try:
            send(users, job_id=state.job_id(state.jobs), occurred_at=moment(state.started))
        except InvalidJob as error:
            bad = {problem.index for problem in error.problems if problem.index is not None}
            if not bad:
                raise
            refused += [
                Refusal(good[problem.index].line, _field(problem.field), problem.reason)
                for problem in error.problems
                if problem.index is not None
            ]
            good = [record for index, record in enumerate(good) if index not in bad]
        else:
            break
    return sorted(refused, key=lambda refusal: refusal.line), len(good)


def _field(field: str) -> str:
    """The field as the file's author knows it: `users[3].email` is `email`."""
    return field.partition("].")[2] if field.startswith(_FIELD_PREFIX) else field
