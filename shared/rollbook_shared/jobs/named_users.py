"""Which users a stored text names, and the text without some of them: for deferred jobs and dead letters.

Both are read from the JSON and not from the decoded job. A user of a bulk job who was rejected is in no decoded job,
and a dead letter may hold anything: a job of another version, a message of another application, broken JSON.

- A job of a kind that is known here names users in certain fields, and nowhere else. A property, a word of our JSON or
  the data of a trigger that happens to equal an id names no user.
- Any other JSON names users in fields of those names, at any depth, also in JSON within a text. If it has no such
  field, each text in it counts as the id of a user; keys do not.
- JSON that was cut off is read up to there. Of any other text, each text in quotes counts, unless it is a key.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, TypeGuard

from pydantic_core import from_json

from rollbook_shared.jobs.codec import VERSION
from rollbook_shared.jobs.fields import USER_ID
from rollbook_shared.jobs.models import KINDS, MAX_TIMESTAMP
from rollbook_shared.json_values import encode_json
from rollbook_shared.limits import HARD_BULK_USERS, HARD_RECIPIENTS

MAX_USERS: Final = 2 * max(HARD_BULK_USERS, HARD_RECIPIENTS)
"""More than any job of ours names. Of a text that names more, only so many are found."""
_LISTS: Final = ("users", "user_ids", "recipients")
_ACTOR: Final = "actor"
_SINGLES: Final = ("user", "user_id", "primary_id", "secondary_id")
_FIELDS: Final = frozenset((*_LISTS, _ACTOR, *_SINGLES))
_OTHER_FIELDS: Final = _FIELDS | {"recipient", "from_user_id", "userId", "userIds"}
_IDS: Final = ("id", "user_id", "userId")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"(\s*:)?|\\.', re.DOTALL)
_JSON_AS_BASE64: Final = ("e", "W")
"""How an object and a list begin."""
_MAX_LAYERS: Final = 4
"""Of JSON within JSON: a job is a text in the JSON of a Celery message, which is a text in that of the broker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedUsers:
    """The users that a text names, in id order, and when its job was asked for (in microseconds since 1970), if the
    text says so.
    """

    ids: tuple[str, ...]
    requested_at: int | None


def named_users(text: str) -> NamedUsers:
    """The users that the text names; never fails."""
    try:
        value = _parsed(text)
    except (ValueError, RecursionError):
        return NamedUsers(ids=_distinct(_quoted(text)), requested_at=None)
    try:
        ids = _distinct(_named(value, 0)) or (() if _is_job(value) else _distinct(_texts(value)))
    except RecursionError:
        ids = _distinct(_quoted(text))
    return NamedUsers(ids=ids, requested_at=_requested_at(value))


def without_users(text: str, erased: Collection[str]) -> str | None:
    """The job without these users: they are taken out of its lists, and an actor becomes an unknown user.

    None if no job is left: it is about one of them, or about no other user, or it is no job of a kind known here, so
    that a part of it could mean something else.
    """
    try:
        job = json.loads(text, object_pairs_hook=_without_repeated, parse_constant=_no_constant)
        return _encoded(job) if _is_known(job) and _take_out(job, frozenset(erased)) else None
    except (ValueError, RecursionError):
        return None


def _take_out(job: dict[str, Any], erased: frozenset[str]) -> bool:
    """Take the users out of the job; say whether a job is left."""
    if any(_names(job.get(field), erased) for field in _SINGLES):
        return False
    if _names(job.get(_ACTOR), erased):
        job[_ACTOR] = _unknown_user(job)
    return all(_cut(job, field, erased) for field in _LISTS if field in job)


def _cut(job: dict[str, Any], field: str, erased: frozenset[str]) -> bool:
    """Take the users out of a list of the job, with their timestamps; say whether anything is left of it."""
    users = job[field]
    if not isinstance(users, list):
        return not _names(users, erased)
    kept = [index for index, user in enumerate(users) if not _names(user, erased)]
    timestamps = job.get("timestamps")
    if isinstance(timestamps, list) and len(timestamps) == len(users):
        job["timestamps"] = [timestamps[index] for index in kept]
    job[field] = [users[index] for index in kept]
    return bool(kept) or not users


def _names(value: Any, ids: frozenset[str]) -> bool:
    return not ids.isdisjoint(_ids_of(value))


def _unknown_user(job: Mapping[str, Any]) -> str:
    """An id that no user has, so that readers show the actor as missing; the same each time."""
    return f"erased-{blake2b(str(job.get('id')).encode(errors='replace'), digest_size=16).hexdigest()}"


def _encoded(job: dict[str, Any]) -> str:
    try:
        return encode_json(job).decode()
    except ValueError:  # halves of surrogate pairs, in a user who was rejected
        return json.dumps(job)


def _is_known(value: object) -> bool:
    """Whether it is a job of a kind and version of which is known where it names users."""
    return _is_job(value) and value["kind"] in KINDS and value.get("v", VERSION) == VERSION


def _is_job(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and isinstance(value.get("kind"), str) and "occurred_at" in value


def _named(value: Any, layers: int) -> Iterator[Any]:
    """What stands where users are named."""
    match value:
        case dict() if _is_known(value):
            for field in _FIELDS:
                yield from _ids_of(value.get(field))
        case dict():
            for key, item in value.items():
                if key in _OTHER_FIELDS and (ids := list(_ids_of(item))):
                    yield from ids
                else:
                    yield from _named(item, layers)
        case list():
            for item in value:
                yield from _named(item, layers)
        case str() if layers < _MAX_LAYERS and (inner := _inner_json(value)) is not None:
            yield from _named(inner, layers + 1)


def _ids_of(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case bool():
            pass
        case int():
            yield str(value)
        case list():
            for item in value:
                yield from _ids_of(item)
        case dict():
            for field in _IDS:
                yield from _ids_of(value.get(field))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)


def _quoted(text: str) -> Iterator[str]:
    for match in _QUOTED.finditer(text):
        if match[1] is not None and match[2] is None:
            try:
                yield json.loads(f'"{match[1]}"', strict=False)
            except ValueError:
                yield match[1]


def _distinct(ids: Iterator[Any]) -> tuple[str, ...]:
    """Those that a user can have as an id."""
    found: set[str] = set()
    for id_ in ids:
        if USER_ID.fullmatch(id_):
            found.add(id_)
            if len(found) == MAX_USERS:
                break
    return tuple(sorted(found))


def _requested_at(value: Any) -> int | None:
    """When the job happened, or was asked for; of a bulk job whose users have times, the first of those."""
    if not isinstance(value, dict):
        return None
    requested_at, occurred_at = value.get("requested_at"), value.get("occurred_at")
    if _is_time(requested_at):
        return requested_at
    if value.get("deferred") is True:
        return None
    timestamps = value.get("timestamps")
    if isinstance(timestamps, list) and timestamps and all(map(_is_time, timestamps)):
        return min(int(at) for at in timestamps)
    return occurred_at if _is_time(occurred_at) else None


def _is_time(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < MAX_TIMESTAMP


def _parsed(text: str) -> Any:
    """The JSON in a text, with all that a parser may forgive: a mark at its beginning, NULs, controls, its end.

    Raises:
        ValueError: it is no JSON, nor the beginning of any.
    """
    text = text.removeprefix("\ufeff").replace("\0", "")
    try:
        return json.loads(text, strict=False, object_pairs_hook=_with_repeated)
    except json.JSONDecodeError as error:
        # a text that is cut off ends within a string, or within a word or an escape of at most six characters
        if not error.msg.startswith("Unterminated string") and error.pos < len(text) - 6:
            raise
        return from_json(text.encode(errors="replace"), allow_partial="trailing-strings")


def _inner_json(text: str) -> Any:
    """The JSON object or list in a text, perhaps as Base64; None if there is none."""
    try:
        if text.startswith(_JSON_AS_BASE64):
            text = b64decode(text, validate=True).decode()
        inner = _parsed(text) if text.lstrip().startswith(("{", "[")) else None
    except (ValueError, NotBase64, RecursionError):
        return None
    return inner if isinstance(inner, (dict, list)) else None


def _with_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a key that is repeated has all of its values."""
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    every: dict[str, list[Any]] = {}
    for key, value in pairs:
        every.setdefault(key, []).append(value)
    return {key: values if values[1:] else values[0] for key, values in every.items()}


def _without_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key is repeated")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
