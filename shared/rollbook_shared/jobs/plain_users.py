"""The users of a parsed bulk job that need no closer look: checked and shaped together, as they are stored.

Nearly all bulk jobs have only such users. What takes a call for each value elsewhere takes one for each field here, and
no object is made for a user: a worker writes the ids and the profiles as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from types import NoneType
from typing import Any, Final, Self, TypeVar, overload

import orjson

from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED, are_common, attribute_problem
from rollbook_shared.domain.profile_sections import TRAIT_KEYS
from rollbook_shared.json_values import are_storable, decode_json
from rollbook_shared.limits import NESTING, USER_ID_CHARACTERS

User = TypeVar("User", covariant=True)
MakeUser = Callable[[str, dict[str, Any]], User]
"""Called with the id and the traits."""

_fields_of: Final = itemgetter("id", "traits", "preferences", "channel_data")
_FIELDS: Final = 4
_values: Final = dict.values
_SCALARS: Final = {str, int, bool, NoneType}
_ATTRIBUTE_KINDS: Final = {str, NoneType}
MAX_NAMES: Final = 100
"""Of the traits of all users of a job, where not all have the same: for each, all users are asked."""
_BETWEEN: Final = "\0"
"""No text that can be stored has it. In one list with it, a hundred profiles are encoded in a sixth of the time that
each by itself takes.
"""
_ENCODED_BETWEEN: Final = b',"\\u0000",'


class PlainUsers(Sequence[User]):
    """Users with an id and traits, and no preferences and channel data. Each is made when it is asked for."""

    __slots__ = ("_make", "ids", "profiles")

    def __init__(self, ids: Sequence[str], profiles: Sequence[bytes], make: MakeUser[User]) -> None:
        """Take what was checked. `profiles` are the traits by their stored keys, as JSON."""
        self.ids = ids
        self.profiles = profiles
        self._make = make

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> User: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> User | Self:
        if isinstance(index, slice):
            return type(self)(self.ids[index], self.profiles[index], self._make)
        return self._user(self.ids[index], self.profiles[index])

    def __iter__(self) -> Iterator[User]:
        return map(self._user, self.ids, self.profiles)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == (tuple(other) if isinstance(other, PlainUsers) else other)

    __hash__ = None  # type: ignore[assignment]  # a tuple of users has none either, because of their traits

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _user(self, user_id: str, profile: bytes) -> User:
        return self._make(user_id, {key[2:]: value for key, value in decode_json(profile).items()})


def plain_users(parsed: Sequence[Any], make: MakeUser[User]) -> PlainUsers[User] | None:
    """The users of a job that was parsed from JSON, and whose texts can all be stored; None: at least one of them needs
    a closer look, or is invalid.
    """
    if set(map(type, parsed)) != {dict} or set(map(len, parsed)) != {_FIELDS}:
        return None
    try:
        ids, traits, preferences, channel_data = zip(*map(_fields_of, parsed), strict=True)
    except KeyError:
        return None
    if set(map(type, (*traits, *preferences, *channel_data))) != {dict} or any(preferences) or any(channel_data):
        return None
    if not _are_ids(ids):
        return None
    names = list(map(tuple, traits))
    # often there is one; to compare tuples of the same names takes less than to hash them
    shapes = {names[0]} if names.count(names[0]) == len(names) else set(names)
    columns = _columns(traits, shapes)
    if columns is None or not all(map(_are_plain, columns, columns.values())):
        return None
    keys = {shape: tuple(map(TRAIT_KEYS.__getitem__, shape)) for shape in shapes}
    keys_of = map(keys.__getitem__, names) if len(keys) > 1 else repeat(keys[names[0]])
    profiles = _encoded(list(map(dict, map(zip, keys_of, map(_values, traits)))))
    return PlainUsers(ids, profiles, make) if profiles else None


def _are_ids(ids: Sequence[Any]) -> bool:
    if set(map(type, ids)) != {str} or "" in ids or max(map(len, ids)) > USER_ID_CHARACTERS:
        return False
    together = "/".join(ids)
    return together.count("/") == len(ids) - 1 and "#" not in together


def _columns(
    traits: Sequence[dict[str, Any]], shapes: Collection[tuple[str, ...]]
) -> Mapping[str, Sequence[Any]] | None:
    """The values of each name, of the users who have it; None: so many names cost more than they save."""
    if len(shapes) == 1:  # often
        (names,) = shapes
        return dict(zip(names, zip(*map(_values, traits), strict=True), strict=True))
    different: set[str] = set().union(*shapes)
    if len(different) > MAX_NAMES:
        return None
    return {name: [each[name] for each in traits if name in each] for name in different}


def _are_plain(name: str, values: Sequence[Any]) -> bool:
    """Whether all values of a trait are certainly valid, but for integers: the encoder takes none that is too large."""
    kinds = set(map(type, values))
    if name in RESERVED:
        return False
    if name in ATTRIBUTES:
        return (kinds == {str} and are_common(name, values)) or (
            kinds <= _ATTRIBUTE_KINDS
            and all(value is None or attribute_problem(name, value) is None for value in set(values))
        )
    return kinds <= _SCALARS or are_storable(values, levels=NESTING - 1)


def _encoded(profiles: list[dict[str, Any]]) -> list[bytes] | None:
    """Each as JSON; None if an integer is too large for the encoder."""
    together: list[Any] = [_BETWEEN] * (2 * len(profiles) - 1)
    together[::2] = profiles
    try:
        return orjson.dumps(together)[1:-1].split(_ENCODED_BETWEEN)
    except TypeError:
        return None
