"""What a file holds, record by record: a user told of, a merge, something that is not ours, or what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from rollbook_ops.importers.lines import Place
from rollbook_shared.errors import Problem

_OF_USER: Final = re.compile(r"users\[[0-9]+\]\.?")
_MOMENT: Final = re.compile(r"moments\[[0-9]+\]")
_ROOT: Final = re.compile(r"[^.\[]*")


@dataclass(frozen=True, slots=True)
class Names:
    """How the file calls what we call otherwise."""

    fields: Mapping[str, str] = field(default_factory=dict)
    """By our names; `occurred_at` is the time of the record."""
    under: str = ""
    """The object of the record that holds all other fields."""

    def of(self, problem: Problem) -> str:
        """The field of a problem of a job, as the file's author knows it: `users[3].email` is `email`."""
        name = _OF_USER.sub("", _MOMENT.sub("occurred_at", problem.field), count=1)
        root = _ROOT.match(name)[0]  # type: ignore[index]  # it matches nothing, too
        if root in self.fields:
            return self.fields[root] + name[len(root) :]
        return joined(self.under, name)


def joined(*parts: str) -> str:
    """A path of those parts that there are."""
    return ".".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Told:
    """A user, as `bulk_identify` takes it."""

    user: Mapping[str, Any]
    at: datetime | None = None
    """When it was told (aware), where the file says so."""
    names: Names = Names()
    left_out: tuple[str, ...] = ()
    """What of the record has no place here, by its name in the record."""


@dataclass(frozen=True, slots=True)
class Merged:
    """That the secondary became part of the primary."""

    primary_id: str
    secondary_id: str
    at: datetime | None = None
    names: Names = Names()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that tells nothing of a user."""

    what: str
    """As it is counted: `track`, `objects`."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be read. No problem holds a value of it."""

    problems: tuple[Problem, ...]

    @classmethod
    def whole(cls, reason: str) -> Rejected:
        """Rejected as it stands, not for one field of it."""
        return cls((Problem("", reason),))


Content = Told | Merged | Skipped | Rejected


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file."""

    line: int
    """Its first line, counted from 1."""
    end: Place
    content: Content
    within: str = ""
    """Where in the document that begins at this line, where that holds several: `entries[3]`."""
