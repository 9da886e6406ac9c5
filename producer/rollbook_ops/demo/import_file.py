"""The file that the demo imports, and the jobs that importing it must send."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rollbook_ops.importers import Import
from rollbook_shared.jobs.models import BulkIdentify, Job
from rollbook_shared.reference.generator import user_update

CHUNK_USERS: Final = 100
_ONE_BAD_IN: Final = 1_000
_BAD: Final[Sequence[Mapping[str, str]]] = (
    {"id": "bad/id", "name": "Nobody"},
    {"id": "bad_email", "email": "nowhere"},
    {"name": "Without an id"},
    {"id": "bad_zone", "timezone": "Mars/Olympus"},
)


def write_file(path: Path, users: Sequence[Mapping[str, Any]]) -> int:
    """Write the users as CSV, with some bad lines in between; return how many of those."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, list(users[0]))
        rows.writeheader()
        rows.writerows(row if bad else {name: _cell(value) for name, value in row.items()} for row, bad in _rows(users))
    return sum(bad for _, bad in _rows(users))


def jobs_of(users: Sequence[Mapping[str, Any]], state: Import) -> Iterator[Job]:
    """The jobs of importing the file: chunks of its lines, without the bad ones."""
    rows = iter(_rows(users))
    number = 0
    while chunk := list(islice(rows, CHUNK_USERS)):
        if good := tuple(user_update(dict(row)) for row, bad in chunk if not bad):
            yield BulkIdentify(id=state.job_id(number), occurred_at=state.started, users=good)
            number += 1


def _rows(users: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], bool]]:
    for number, user in enumerate(users):
        yield user, False
        if number % _ONE_BAD_IN == _ONE_BAD_IN // 2:
            yield _BAD[number // _ONE_BAD_IN % len(_BAD)], True


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
