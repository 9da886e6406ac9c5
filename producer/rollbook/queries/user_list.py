"""Queries for lists of users: filtered, sorted, counted, and paged in both directions.

Each page is a walk along an index that has its order, from the cursor on. A filter that the index does not know is
looked at row by row, and a walk ends after 10,000 rows, or when the users that it has found are together too large:
the page is then shorter, or empty, and the next one goes on where it ended. If no index has the order, but one finds
the users, these are read and sorted; that works for as many users as one walk may read. So no page costs more because
there are more users.

Some indexes are optional. Without one, a walk sorts all users, if there are no more than it may read.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from rollbook.models import Page, User, UserCount
from rollbook.queries.query import Statement, Steps, query
from rollbook.queries.user_filter import Condition, Range, UserFilter, both
from rollbook.queries.users import user_of
from rollbook_shared.database.statements import load
from rollbook_shared.errors import InvalidRequest, NotConfigured, Problem
from rollbook_shared.json_values import find_text_problem

UserSort = Literal["id", "-id", "created_at", "-created_at", "updated_at", "-updated_at"]
"""What users are sorted by; with `-` the largest, or newest, first."""
MAX_SCANNED: Final = 10_000
"""How many users one page may look at, apart from those that it shows."""

MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
"""After so much of large users, as they are noted, a page begins no further user."""

_SQL: Final = load(__package__, "user_lists")
_KEYS: Final = {"id": "id", "created_at": "created_key", "updated_at": "updated_key"}
_SAMPLED_PAGES: Final = 500
_ID_LENGTH: Final = 256
_CURSOR_LENGTH: Final = 4_096
_NOT_CREATED: Final = Condition("created_key IS NULL")
_Found = tuple[int, Mapping[str, Any]]
"""A row, with the number of the part of the list that it is from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchIndex:
    """An index that operators may create, as readers know it."""

    name: str
    serves: str
    """What needs it, for an error."""
    indexes: tuple[str, ...]
    """Postgres' indexes."""
    keys: tuple[str, ...] = ()
    """The stored columns in them."""


OPTIONAL_INDEXES: Final[Mapping[str, SearchIndex]] = {
    "phone_number": SearchIndex(
        name="phone_number",
        serves="searched by phone number",
        indexes=("users_phone_number",),
        keys=("phone_number_hash",),
    ),
    "prefix": SearchIndex(
        name="prefix",
        serves="searched by the beginning of an e-mail address or a name",
        indexes=("users_email_prefix", "users_name_prefix"),
        keys=("email_key", "name_key"),
    ),
    "created_at": SearchIndex(
        name="created_at", serves="sorted by created_at", indexes=("users_created_at",), keys=("created_key",)
    ),
    "updated_at": SearchIndex(name="updated_at", serves="sorted by updated_at", indexes=("users_updated_at",)),
}
"""By name. `rollbook migrate --index` creates them."""


@dataclass(frozen=True, slots=True)
class UserCursor:
    """A place in a list of users, just after or just before one of them, or at it (`inclusive`)."""

    order: str
    """The order of the list."""
    part: int
    """The part of the list: an order may consist of several."""
    key: str | int | None
    id: str
    inclusive: bool = False

    def as_text(self) -> str:
        """The cursor as a page's `after` or `before`."""
        parts = [self.order, self.part, self.key, self.id, self.inclusive]
        return urlsafe_b64encode(json.dumps(parts, ensure_ascii=False).encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserOrder:
    """The order of a list of users, and how it is read."""

    sort: UserSort | None = None
    """None: by id; with a prefix, by what has the prefix: the ids, then the e-mail addresses, then the names."""
    has_prefix: bool = False
    looked_up: str | None = None
    """The attribute whose index finds the users."""

    @property
    def name(self) -> str:
        """Distinguishes the order from others, in cursors."""
        if self.sort is None:
            return "prefix" if self.has_prefix and not self.looked_up else "id"
        return f"{self.sort}!" if self.is_collected and self.column == "created_at" else self.sort

    @property
    def column(self) -> str:
        """What is sorted by."""
        return (self.sort or "id").lstrip("-")

    @property
    def is_descending(self) -> bool:
        """Whether the largest comes first."""
        return (self.sort or "").startswith("-")

    @property
    def is_collected(self) -> bool:
        """Whether no index has this order, but one finds the users."""
        if self.looked_up:
            return self.column != "id"
        return self.has_prefix and self.sort is not None

    @property
    def index(self) -> SearchIndex | None:
        """The optional index that this order is read from."""
        return OPTIONAL_INDEXES.get(self.looked_up or ("prefix" if self.has_prefix else self.column))

    def parse(self, text: object) -> UserCursor | None:
        """The cursor that a page's `after` or `before` holds; None if it is not one of this order."""
        if not isinstance(text, str) or len(text) > _CURSOR_LENGTH:
            return None
        try:
            parts = json.loads(urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        except ValueError:
            return None
        match parts:
            case [self.name, 0 | 1 | 2 as part, str() | int() | None as key, str() as id_, bool() as inclusive]:
                cursor = UserCursor(self.name, part, key, id_, inclusive)
                return cursor if self._has(cursor) else None
        return None

    def _has(self, cursor: UserCursor) -> bool:
        types = self._key_types()
        return (
            cursor.part < len(types)
            and type(cursor.key) is types[cursor.part]
            and (not isinstance(cursor.key, int) or -(2**63) <= cursor.key < 2**63)
            and len(cursor.id) <= _ID_LENGTH
            and not find_text_problem(f"{cursor.id}{cursor.key}")
        )

    def _key_types(self) -> tuple[type, ...]:
        if self.name == "prefix":
            return (str, str, str)
        if self.column == "created_at":
            return (int,) if self.is_collected else (int, type(None))
        return (str,)


@query
def find_users(
    limit: int,
    which: UserFilter,
    sort: UserSort | None = None,
    after: UserCursor | None = None,
    before: UserCursor | None = None,
) -> Steps[Page[User]]:
    """A page of the users that match: those after a cursor, or the last of those before one."""
    return (yield from _find_page(limit, which, sort, after, before))


@query
def find_all_users(which: UserFilter) -> Steps[tuple[User, ...]]:
    """All users that match, in the order of their ids."""
    found: list[User] = []
    order, after = order_of(which, None), None
    while True:
        page = yield from _find_page(1_000, which, None, after, None)
        found.extend(page.items)
        if page.after is None:
            return tuple(found)
        after = order.parse(page.after)


@query
def count_users(which: UserFilter) -> Steps[UserCount]:
    """How many users match: exactly, if few have to be looked at for that, otherwise by a sample of the table."""
    counted = 0
    index = order_of(which, None).index
    is_there = index is None or (yield from _is_there(index))
    if is_there or not (yield from _is_large()):
        fields, parameters = _candidates(_ranges(which), "id", which, _keys_of(index if is_there else None))
        ((counts),) = yield Statement(_SQL["count"].format(**fields), parameters)
        counted = int(counts["matching"])
        if counts["candidates"] <= MAX_SCANNED:
            return UserCount(value=counted, is_exact=True)
    ((size),) = yield Statement(_SQL["size"], {})
    share = min(1.0, _SAMPLED_PAGES / max(1, int(size["pages"])))
    matches = which.matches()
    keys = {**_keys_of(index if is_there else None), "sampled": " TABLESAMPLE SYSTEM (%(percent)s)"}
    sql = _SQL["sample"].format(**keys, filter=matches.sql)
    ((sample),) = yield Statement(sql, {**matches.parameters, "percent": 100 * share})
    return UserCount(value=max(round(sample["matching"] / share), counted), is_exact=False)


def order_of(which: UserFilter, sort: UserSort | None) -> UserOrder:
    """How a list of these users is sorted."""
    return UserOrder(sort=sort, has_prefix=which.prefix is not None, looked_up=which.looked_up)


def _find_page(
    limit: int, which: UserFilter, sort: UserSort | None, after: UserCursor | None, before: UserCursor | None
) -> Steps[Page[User]]:
    order = order_of(which, sort)
    backwards = before is not None
    cursor = before if backwards else after
    rows, stop = yield from _read(which, order, cursor, backwards, limit + 1)
    return _page(rows, stop, order, cursor, backwards, limit)


def _read(
    which: UserFilter, order: UserOrder, cursor: UserCursor | None, backwards: bool, wanted: int
) -> Steps[tuple[list[_Found], UserCursor | None]]:
    """The rows of the users that follow the cursor, each with its part; and where a walk ended without enough."""
    index = order.index
    is_there = index is None or (yield from _is_there(index))
    if index is not None and not is_there and (yield from _is_large()):
        raise NotConfigured(
            f"more than {MAX_SCANNED:,} users can be {index.serves} only with an optional index; "
            f"`rollbook migrate --index {index.name}` creates it"
        )
    keys = _keys_of(index if is_there else None)
    if order.looked_up or order.is_collected:
        collected = yield from _collect(which, order, cursor, backwards, wanted, keys)
        if collected is not None:
            return collected
        if order.is_collected:
            advice = f"{MAX_SCANNED:,} users at most can be sorted by {order.column}, and more match; sort by id"
            raise InvalidRequest([Problem("sort", advice)])
    return (yield from _walk(which, order, cursor, backwards, wanted, keys))


def _is_there(index: SearchIndex) -> Steps[bool]:
    ((row),) = yield Statement(_SQL["count_indexes"], {"indexes": list(index.indexes)})
    return bool(row["found"] == len(index.indexes))


def _is_large() -> Steps[bool]:
    ((row),) = yield Statement(_SQL["is_large"].format(scanned=MAX_SCANNED + 1), {})
    return bool(row["is_large"])


def _keys_of(index: SearchIndex | None) -> dict[str, str]:
    """What the template of keyed users takes: the columns that are in this index, and how the others are computed."""
    stored = () if index is None else index.keys
    keys = ("phone_number_hash", "email_key", "name_key", "created_key")
    return {"sampled": "", **{key: key if key in stored else _SQL[f"computed_{key}"] for key in keys}}


def _page(
    rows: Sequence[_Found],
    stop: UserCursor | None,
    order: UserOrder,
    cursor: UserCursor | None,
    backwards: bool,
    limit: int,
) -> Page[User]:
    """The page of rows in the order in which they were read, of which there may be one too many."""
    cursors = [UserCursor(order.name, part, row["sort_key"], row["id"]) for part, row in rows[:limit]]
    far = cursors[-1] if len(rows) > limit else stop
    # of an empty page both cursors are at the one that was given; what is before it and what is after it must be all
    near = cursor and (cursors[0] if cursors else replace(cursor, inclusive=not cursor.inclusive))
    first, last = (far, near) if backwards else (near, far)
    items = [user_of(row) for _, row in rows[:limit]]
    return Page(
        items=tuple(reversed(items) if backwards else items),
        after=None if last is None else last.as_text(),
        before=None if first is None else first.as_text(),
    )


def _walk(
    which: UserFilter, order: UserOrder, cursor: UserCursor | None, backwards: bool, wanted: int, keys: dict[str, str]
) -> Steps[tuple[list[_Found], UserCursor | None]]:
    """The rows of the users that follow the cursor; and where a walk ended without enough."""
    parts = list(enumerate(_walks(which, order)))
    found: list[_Found] = []
    for number, part in reversed(parts) if backwards else parts:
        if cursor is not None and (number > cursor.part if backwards else number < cursor.part):
            continue
        start = cursor if cursor is not None and cursor.part == number else None
        descending = order.is_descending != backwards
        fields, parameters = _scan(part, start, descending, keys)
        matches = both(which.traits(), part.besides)
        page_order = _direction("id" if part.key == "id" else "sort_key, id", descending)
        # the limit is no parameter: for any limit Postgres would plan to read a tenth of the scan
        sql = _SQL["walk"].format(
            **fields,
            filter=matches.sql,
            page_order=page_order,
            wanted=wanted - len(found),
            most_bytes=MAX_PAGE_BYTES,
        )
        rows = yield Statement(sql, {**parameters, **matches.parameters})
        found += [(number, row) for row in rows if row["is_match"]]
        for row in rows:
            if row["is_stop"] or row["is_cut"]:
                return found, UserCursor(order.name, number, row["sort_key"], row["id"])
        if len(found) >= wanted:
            break
    return found, None


def _walks(which: UserFilter, order: UserOrder) -> Iterator[Range]:
    """The parts of indexes that hold the list, one after the other."""
    if order.name == "prefix":
        yield from which.prefix_ranges()
    elif order.column == "created_at":
        yield Range(Condition("created_key IS NOT NULL"), "created_key")
        # users without one come last in both directions
        yield Range(Condition("true"), besides=_NOT_CREATED)
    elif order.column == "updated_at":
        # ids that are no users have none
        yield Range(Condition("updated_key IS NOT NULL"), "updated_key")
    else:
        yield Range(Condition("true"), besides=_prefix(which))


def _collect(
    which: UserFilter, order: UserOrder, cursor: UserCursor | None, backwards: bool, wanted: int, keys: dict[str, str]
) -> Steps[tuple[list[_Found], UserCursor | None] | None]:
    """The rows of the users that follow the cursor, and where they became too large; None if too many would have to be
    sorted.
    """
    descending = order.is_descending != backwards
    key = _KEYS[order.column]
    if order.column == "created_at":
        key = f"coalesce(created_key, {-(2**63) if order.is_descending else 2**63 - 1})"
    fields, parameters = _candidates(_ranges(which), key, which, keys)
    position = Condition("true") if cursor is None else _position("sort_key", _type(key), cursor, descending)
    sql = _SQL["collect"].format(
        **fields,
        position=position.sql,
        page_order=_direction("sort_key, id", descending),
        scanned=MAX_SCANNED + 1,
        wanted=wanted,
        most_bytes=MAX_PAGE_BYTES,
    )
    rows = yield Statement(sql, {**parameters, **position.parameters})
    if any(row["is_stop"] for row in rows):
        return None
    stop = next((UserCursor(order.name, 0, row["sort_key"], row["id"]) for row in rows if row["is_cut"]), None)
    return [(0, row) for row in rows], stop


def _ranges(which: UserFilter) -> Sequence[Range]:
    if (equal := which.equality()) is not None:
        return (replace(equal, condition=both(equal.condition, _prefix(which))),)
    return which.prefix_ranges() or (Range(Condition("true")),)


def _prefix(which: UserFilter) -> Condition:
    return UserFilter(prefix=which.prefix).matches()


def _candidates(
    ranges: Sequence[Range], key: str, which: UserFilter, keys: dict[str, str]
) -> tuple[dict[str, object], dict[str, object]]:
    traits = which.traits()
    parts: list[str] = []
    parameters = dict(traits.parameters)
    for each in ranges:
        fields, added = _scan(each, None, False, keys)
        statement = _SQL["looked_up" if each.is_lookup else "candidates"]
        parts.append(statement.format(**{**fields, "key": key}, filter=traits.sql))
        parameters |= added
    return {"candidates": "\nUNION\n".join(f"({part})" for part in parts)}, parameters


def _scan(
    part: Range, start: UserCursor | None, descending: bool, keys: dict[str, str]
) -> tuple[dict[str, object], dict[str, object]]:
    """What the template of a scan takes."""
    condition = part.condition
    if start is not None:
        condition = both(condition, _position(part.key, _type(part.key), start, descending))
    fields: dict[str, object] = {
        **keys,
        "key": "NULL" if part.besides is _NOT_CREATED else part.key,
        "range": condition.sql,
        "order": _direction(_columns(part), descending),
        "scanned": MAX_SCANNED + 1,
    }
    return fields, dict(condition.parameters)


def _columns(part: Range) -> str:
    return "id" if part.key == "id" else f"{part.key}, id"


def _position(key: str, type_: str, cursor: UserCursor, descending: bool) -> Condition:
    """The users on the far side of the cursor."""
    operator = ("<" if descending else ">") + ("=" if cursor.inclusive else "")
    if key == "id":
        return Condition(f"id {operator} %(cursor_id)s::text", {"cursor_id": cursor.id})
    return Condition(
        f"({key}, id) {operator} (%(cursor_key)s::{type_}, %(cursor_id)s::text)",
        {"cursor_key": cursor.key, "cursor_id": cursor.id},
    )


def _type(key: str) -> str:
    return "bigint" if "created_key" in key else "text"


def _direction(columns: str, descending: bool) -> str:
    return columns.replace(", id", " DESC, id") + " DESC" if descending else columns
