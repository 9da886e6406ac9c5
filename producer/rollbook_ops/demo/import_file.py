"""The file that the demo imports, and the jobs that its import sends."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rollbook_ops.importers import Checkpoint
from rollbook_shared.jobs.models import BulkIdentify, Job
from rollbook_shared.reference.generator import user_update_of

CHUNK_USERS: Final = 100
_INVALID_EVERY: Final = 1_000
_INVALID: Final[Sequence[Mapping[str, str]]] = (
    {"id": "bad/id", "name": "Slash in the id"},
    {"id": "bad_email", "email": "nowhere"},
    {"name": "Without an id"},
    {"id": "bad_zone", "timezone": "Mars/Olympus"},
)


def write_file(path: Path, users: Sequence[Mapping[str, Any]]) -> int:
    """Write the users as CSV, with some invalid lines between them; return the number of invalid lines."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, list(users[0]))
        rows.writeheader()
        rows.writerows(
            row if is_invalid else {name: _cell(value) for name, value in row.items()}
            for row, is_invalid in _rows(users)
        )
    return sum(is_invalid for _, is_invalid in _rows(users))


def jobs_of(users: Sequence[Mapping[str, Any]], checkpoint: Checkpoint) -> Iterator[Job]:
    """Yield the jobs that the import sends: chunks of the file's lines, without the invalid ones."""
    rows = iter(_rows(users))
    number = 0
    while chunk := list(islice(rows, CHUNK_USERS)):
        if good := tuple(user_update_of(dict(row)) for row, is_invalid in chunk if not is_invalid):
            yield BulkIdentify(id=checkpoint.job_id(number), occurred_at=checkpoint.started, users=good)
            number += 1


def _rows(users: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], bool]]:
    for number, user in enumerate(users):
        yield user, False
        if number % _INVALID_EVERY == _INVALID_EVERY // 2:
            yield _INVALID[number // _INVALID_EVERY % len(_INVALID)], True


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
