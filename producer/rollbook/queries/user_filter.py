"""Which users a list is of: filters as the conditions of SQL, and the indexes that serve them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rollbook_shared.domain.attributes import ATTRIBUTES
from rollbook_shared.domain.profile_sections import TRAIT_KEYS
from rollbook_shared.domain.search_keys import email_key, end_of_prefix, name_key

Parameters = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in SQL, with its parameters."""

    sql: str
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Range:
    """A part of an index, sorted by a column and the id."""

    condition: Condition
    key: str = "id"
    """The column; `id` if all have the same value of another one."""
    besides: Condition = Condition("true")
    """What an earlier range has, so that no user is in two."""
    is_lookup: bool = False
    """Whether it is found by a hash, and is in no order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """Attributes and properties that users must have, and a prefix of their id, e-mail address or name."""

    where: Mapping[str, Any] = field(default_factory=dict)
    prefix: str | None = None

    def traits(self) -> Condition:
        """The attributes and properties, as a condition on the rows of a scan."""
        return both(*(_trait(number, name, value) for number, (name, value) in enumerate(self.where.items())))

    def matches(self) -> Condition:
        """The whole filter, as a condition on the rows of a scan."""
        ranges = [each.condition for each in self.prefix_ranges()]
        if not ranges:
            return self.traits()
        any_of = " OR ".join(f"({each.sql}) IS TRUE" for each in ranges)
        return both(self.traits(), Condition(f"({any_of})", _merged(ranges)))

    @property
    def looked_up(self) -> str | None:
        """The attribute that an index has, by which few users are found; None: none is given."""
        return next((name for name in _HASHED if self.where.get(name) is not None), None)

    def equality(self) -> Range | None:
        """What the index holds of the attribute that is looked up. It holds hashes, so that a user with another value
        may be among them.
        """
        if (name := self.looked_up) is None:
            return None
        same_hash = f"{name}_hash = rollbook.{name}_hash(%(equal)s::text)"
        return Range(Condition(same_hash, {"equal": self.where[name]}), is_lookup=True)

    def prefix_ranges(self) -> tuple[Range, ...]:
        """The parts of the indexes that hold the users with the prefix."""
        return () if self.prefix is None else _prefix_ranges(self.prefix)


def both(*conditions: Condition) -> Condition:
    """All of the conditions."""
    return Condition(" AND ".join(each.sql for each in conditions) or "true", _merged(conditions))


_HASHED: Final = ("email", "phone_number")
"""The attributes that have an index. The more selective comes first."""


def _trait(number: int, name: str, value: Any) -> Condition:
    key, parameters = f"key_{number}", {f"key_{number}": TRAIT_KEYS[name]}
    text = f"profile ->> %({key})s"
    if name not in ATTRIBUTES:
        parameters[f"value_{number}"] = json.dumps(value)
        return Condition(f"profile -> %({key})s = %(value_{number})s::jsonb", parameters)
    if value is None:
        return Condition(f"{text} IS NULL", parameters)
    parameters[f"value_{number}"] = value
    if name == "email":
        same = f'lower({text} COLLATE "C") = lower(%(value_{number})s::text COLLATE "C")'
        return Condition(same, parameters)
    return Condition(f"{text} = %(value_{number})s::text", parameters)


def _prefix_ranges(prefix: str) -> tuple[Range, ...]:
    by_id = _range("id", prefix)
    by_email = _range("email_key", email_key(prefix))
    by_name = _range("name_key", name_key(prefix))
    not_by_id = Condition(f"({by_id.sql}) IS NOT TRUE", by_id.parameters)
    neither = both(not_by_id, Condition(f"({by_email.sql}) IS NOT TRUE", by_email.parameters))
    return Range(by_id), Range(by_email, "email_key", not_by_id), Range(by_name, "name_key", neither)


def _range(column: str, prefix: str) -> Condition:
    end = end_of_prefix(prefix)
    parameters = {f"{column}_from": prefix} | ({} if end is None else {f"{column}_to": end})
    until = "" if end is None else f" AND {column} < %({column}_to)s::text"
    return Condition(f"{column} >= %({column}_from)s::text{until}", parameters)


def _merged(conditions: Iterable[Condition]) -> Parameters:
    return {name: value for condition in conditions for name, value in condition.parameters.items()}
