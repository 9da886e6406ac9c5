"""One record of another product: a user's values, a merge, something that is not about a user, or an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from rollbook_shared.errors import Problem

_USER_PREFIX: Final = re.compile(r"users\[[0-9]+\]\.?")
_TIMESTAMP: Final = re.compile(r"timestamps\[[0-9]+\]")
_ROOT: Final = re.compile(r"[^.\[]*")


@dataclass(frozen=True, slots=True)
class FieldNames:
    """The names that the file has for fields that Rollbook names otherwise."""

    fields: Mapping[str, str] = field(default_factory=dict)
    """By Rollbook's names; `occurred_at` is the time of the record."""
    parent: str = ""
    """The object of the record that holds all other fields."""

    def name_of(self, problem: Problem) -> str:
        """Return the field of a job's problem as the file names it: `users[3].email` is `email`."""
        name = _USER_PREFIX.sub("", _TIMESTAMP.sub("occurred_at", problem.field), count=1)
        root = _ROOT.match(name)[0]  # type: ignore[index]  # the pattern also matches the empty string
        if root in self.fields:
            return self.fields[root] + name[len(root) :]
        return join_path(self.parent, name)


def join_path(*parts: str) -> str:
    """Join the parts of a path that are not empty."""
    return ".".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user, as `bulk_identify` takes it."""

    user: Mapping[str, Any]
    occurred_at: datetime | None = None
    """The time of the values (aware), if the file has it."""
    names: FieldNames = FieldNames()
    left_out: tuple[str, ...] = ()
    """The fields of the record that Rollbook has no place for, by their names in the record."""
    warnings: tuple[str, ...] = ()
    """What is valid, but looks like a mistake. Holds no value of the file."""


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """A merge of the secondary into the primary."""

    primary_id: str
    secondary_id: str
    occurred_at: datetime | None = None
    names: FieldNames = FieldNames()


@dataclass(frozen=True, slots=True)
class SkippedRecord:
    """A record that is not about a user."""

    kind: str
    """The name under which it is counted: `track`, `objects`."""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that cannot be imported. Its problems hold no value of the file."""

    problems: tuple[Problem, ...]

    @classmethod
    def whole(cls, reason: str) -> RejectedRecord:
        """Reject the record as a whole, not one of its fields."""
        return cls((Problem("", reason),))


RecordContent = UserRecord | MergeRecord | SkippedRecord | RejectedRecord
