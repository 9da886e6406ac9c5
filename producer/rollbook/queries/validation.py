"""Checks the arguments of reads, so that reads are rejected as clearly as writes and no odd text reaches Postgres."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, TypeVar, cast, get_args
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from rollbook.models import ArchivedFilter, FeedStatus
from rollbook.queries.job_list import JobFilter, ListedState
from rollbook.queries.message_filter import MessageFilter
from rollbook.queries.message_selection import MessageSelection
from rollbook.queries.page_cursor import DEAD_LETTERS, HISTORY, JOBS, PageCursor, parse_cursor
from rollbook.queries.user_filter import UserFilter
from rollbook.queries.user_list import UserCursor, UserSort, order_of
from rollbook_shared.domain.attributes import ATTRIBUTES, RESERVED
from rollbook_shared.domain.search_keys import MAX_KEY
from rollbook_shared.domain.stamps import JOB_ID
from rollbook_shared.errors import InvalidRequest, Problem
from rollbook_shared.jobs.fields import USER_ID, UserId
from rollbook_shared.jobs.models import MODELS
from rollbook_shared.jobs.pydantic_problems import problems_of
from rollbook_shared.json_values import find_text_problem, find_value_problem, printable

MAX_PAGE: Final = 1_000
MAX_COUNTED: Final = 10_000
"""Messages; to count all is the default."""

Id = TypeVar("Id")
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)
_MESSAGE_ID: Final[TypeAdapter[UUID]] = TypeAdapter(UUID)


def checked_user_id(user_id: object) -> str:
    """The id, or `InvalidRequest`: no user can have it."""
    if type(user_id) is str and USER_ID.fullmatch(user_id):
        return user_id
    try:
        return _USER_ID.validate_python(user_id)
    except ValidationError as error:
        raise InvalidRequest([Problem("user_id", problem.reason) for problem in problems_of(error)]) from None


def checked_message_id(message_id: object) -> UUID:
    """The id as a UUID, or `InvalidRequest`: no message can have it."""
    try:
        return _MESSAGE_ID.validate_python(message_id)
    except ValidationError as error:
        raise InvalidRequest([Problem("message_id", problem.reason) for problem in problems_of(error)]) from None


def checked_message_ids(message_ids: object) -> tuple[UUID, ...]:
    """The ids as UUIDs, each once, or `InvalidRequest`: no messages can have them, or they are too many."""
    return _checked_ids(message_ids, "message_ids", "messages", checked_message_id)


def checked_user_ids(user_ids: object) -> tuple[str, ...]:
    """The ids, each once, or `InvalidRequest`: no users can have them, or they are too many."""
    return _checked_ids(user_ids, "user_ids", "users", checked_user_id)


def _checked_ids(ids: object, field: str, what: str, check: Callable[[object], Id]) -> tuple[Id, ...]:
    given = () if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable) else tuple(ids)
    if not 1 <= len(given) <= MAX_PAGE:
        raise InvalidRequest([Problem(field, f"must be 1 to {MAX_PAGE} ids of {what}")])
    problems: list[Problem] = []
    found: dict[Id, None] = {}
    for index, id_ in enumerate(given):
        try:
            found[check(id_)] = None
        except InvalidRequest as error:
            problems += [Problem(f"{field}[{index}]", problem.reason, index) for problem in error.problems]
    if problems:
        raise InvalidRequest(problems)
    return tuple(found)


def checked_job_id(job_id: object, field: str = "job_id") -> str:
    """The id, or `InvalidRequest`: no job can have it. `field` is the argument's name."""
    if isinstance(job_id, str) and JOB_ID.fullmatch(job_id):
        return job_id
    raise InvalidRequest([Problem(field, "must be text of 1 to 128 of the characters A-Z a-z 0-9 . _ : -")])


def checked_code(code: object) -> str:
    """The code of dead letters, or `InvalidRequest`: no dead letter can have it."""
    if isinstance(code, str) and _CODE.fullmatch(code):
        return code
    raise InvalidRequest([Problem("code", "must be the code of a dead letter, such as invalid")])


def checked_replays(code: object, limit: object, after: object, most: int) -> PageCursor | None:
    """Where a replay of many dead letters begins, or `InvalidRequest` with all problems."""
    problems = _limit_problems(limit, most)
    cursor = None
    with _gathering(problems):
        checked_code(code)
    with _gathering(problems):
        cursor = None if after is None else checked_cursor(after, DEAD_LETTERS)
    if problems:
        raise InvalidRequest(problems)
    return cursor


def checked_drops(code: object, limit: object, until: object) -> None:
    """Refuse a drop of many dead letters whose arguments are wrong, with all problems."""
    problems = _limit_problems(limit)
    with _gathering(problems):
        checked_code(code)
    if until is not None and (not isinstance(until, datetime) or until.tzinfo is None):
        problems.append(Problem("until", "must be a datetime with a time zone"))
    if problems:
        raise InvalidRequest(problems)


def check_since(since: object) -> None:
    """Refuse a time from which on to read that is no aware datetime."""
    if since is not None and (not isinstance(since, datetime) or since.tzinfo is None):
        raise InvalidRequest([Problem("since", "must be a datetime with a time zone")])


def checked_timeout(timeout: object) -> float:
    """The seconds to wait, or `InvalidRequest`: they are no number. Infinity is one, and waits without end."""
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and -math.inf <= timeout <= math.inf:
        return timeout
    raise InvalidRequest([Problem("timeout", "must be a number of seconds")])


def check_page(limit: object, after: object) -> None:
    """Refuse a size of a page that is out of bounds, and a cursor that is no text."""
    problems = _limit_problems(limit)
    if after is not None and (not isinstance(after, str) or find_text_problem(after)):
        problems.append(Problem("after", "must be the `after` of a page"))
    if problems:
        raise InvalidRequest(problems)


def _limit_problems(limit: object, most: int = MAX_PAGE) -> list[Problem]:
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= most:
        return [Problem("limit", f"must be a number from 1 to {most}")]
    return []


def check_count_newest(number: object) -> None:
    """Refuse a number of messages to count that is out of bounds."""
    if number is None:
        return
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_COUNTED:
        raise InvalidRequest([Problem("count_newest", f"must be None or a number from 1 to {MAX_COUNTED}")])


def check_choice(field: str, value: object, choices: Collection[str]) -> None:
    """Refuse a value that is none of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequest([Problem(field, f"must be one of {', '.join(choices)}")])


def check_channel(channel: object) -> None:
    """Refuse a channel that no message can have."""
    if not isinstance(channel, str) or not channel or find_text_problem(channel):
        raise InvalidRequest([Problem("channel", "must be the name of a channel")])


def checked_message_selection(
    limit: object,
    after: object,
    before: object,
    channel: object,
    status: object,
    archived: object,
    where: object,
    *,
    of_feed: bool = False,
) -> MessageSelection:
    """Which messages to read, or `InvalidRequest` with all problems. Those of a feed have a channel and a status."""
    problems = [*_limit_problems(limit), *_message_filter_problems(where)]
    cursors: dict[str, PageCursor | None] = {}
    for name, text in (("after", after), ("before", before)):
        try:
            cursors[name] = None if text is None else checked_cursor(text, HISTORY)
        except InvalidRequest:
            problems.append(Problem(name, "must be the `after` of a page or the `cursor` of a message"))
    with _gathering(problems):
        if channel is not None or of_feed:
            check_channel(channel)
    with _gathering(problems):
        if status is not None or of_feed:
            check_choice("status", status, get_args(FeedStatus))
    with _gathering(problems):
        if archived is not None:
            check_choice("archived", archived, get_args(ArchivedFilter))
    if problems:
        raise InvalidRequest(problems)
    return MessageSelection(
        channel=cast(str | None, channel),
        status=cast(FeedStatus | None, status),
        archived=cast(ArchivedFilter | None, archived),
        where=cast(MessageFilter, where or MessageFilter()),
        **cursors,
    )


def _message_filter_problems(where: object) -> Iterator[Problem]:
    if where is None:
        return
    if not isinstance(where, MessageFilter):
        yield Problem("where", "must be a MessageFilter")
        return
    given: Mapping[str, Any] = {
        each.name: getattr(where, each.name) for each in fields(where)
    }  # what the caller's types promise need not be so
    for name in ("workflow", "tenant", "job_id"):
        if given[name] is not None and not _is_text(given[name]):
            yield Problem(f"where.{name}", "must be text")
    categories = given["categories"]
    if isinstance(categories, str) or not isinstance(categories, Collection) or not all(map(_is_text, categories)):
        yield Problem("where.categories", "must be a list of texts")
    if not isinstance(given["has_tenant"], bool | None):
        yield Problem("where.has_tenant", "must be True, False or None")
    if (data := given["data"]) is not None:
        if not isinstance(data, Mapping):
            yield Problem("where.data", "must be a mapping")
        elif problem := find_value_problem(dict(data), "where.data"):
            yield Problem(printable(problem[0]), problem[1])
    for name in ("since", "until"):
        time = given[name]
        if time is not None and (not isinstance(time, datetime) or time.utcoffset() is None):
            yield Problem(f"where.{name}", "must be a datetime with a time zone")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and find_text_problem(value) is None


def checked_user_filter(where: object, prefix: object) -> UserFilter:
    """Which users to list, or `InvalidRequest` with all problems."""
    if problems := list(_filter_problems(where, prefix)):
        raise InvalidRequest(problems)
    return _user_filter(where, prefix)


def checked_user_list(
    limit: object, after: object, before: object, where: object, prefix: object, sort: object
) -> tuple[UserFilter, UserSort | None, UserCursor | None, UserCursor | None]:
    """Which users to list, their order, and the cursors; or `InvalidRequest` with all problems."""
    problems = [*_limit_problems(limit), *_filter_problems(where, prefix)]
    if sort is not None and sort not in get_args(UserSort):
        problems.append(Problem("sort", f"must be one of {', '.join(get_args(UserSort))}"))
    if after is not None and before is not None:
        problems.append(Problem("before", "cannot be given together with `after`"))
    cursors: list[UserCursor | None] = [None, None]
    order = None if problems else order_of(_user_filter(where, prefix), cast(UserSort | None, sort))
    for number, (name, text) in enumerate((("after", after), ("before", before))):
        if text is None:
            continue
        cursors[number] = order.parse(text) if order else None
        if cursors[number] is None and (order or not isinstance(text, str) or find_text_problem(text)):
            problems.append(Problem(name, f"must be the `{name}` of a page in the same order"))
    if problems or order is None:
        raise InvalidRequest(problems)
    return _user_filter(where, prefix), cast(UserSort | None, sort), cursors[0], cursors[1]


def checked_job_list(
    limit: object, after: object, state: object, kind: object, user_id: object, since: object, until: object
) -> tuple[JobFilter, PageCursor | None]:
    """Which jobs to list, and the cursor; or `InvalidRequest` with all problems."""
    problems = _limit_problems(limit)
    cursor: PageCursor | None = None
    with _gathering(problems):
        cursor = None if after is None else checked_cursor(after, JOBS)
    with _gathering(problems):
        if state is not None:
            check_choice("state", state, get_args(ListedState))
    with _gathering(problems):
        if kind is not None:
            check_choice("kind", kind, sorted(MODELS))
    with _gathering(problems):
        if user_id is not None:
            checked_user_id(user_id)
    for name, time in (("since", since), ("until", until)):
        if time is not None and (not isinstance(time, datetime) or time.tzinfo is None):
            problems.append(Problem(name, "must be a datetime with a time zone"))
    if problems:
        raise InvalidRequest(problems)
    fields: dict[str, Any] = {"state": state, "kind": kind, "user_id": user_id, "since": since, "until": until}
    return JobFilter(**fields), cursor


@contextmanager
def _gathering(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of one check to those of others."""
    try:
        yield
    except InvalidRequest as error:
        problems.extend(error.problems)


def checked_cursor(after: object, pattern: re.Pattern[str]) -> PageCursor | None:
    """The cursor, or `InvalidRequest`: it is not the `after` of such a page."""
    if not isinstance(after, str) or find_text_problem(after):
        raise InvalidRequest([Problem("after", "must be the `after` of a page")])
    return parse_cursor(after, pattern)


def _user_filter(where: Any, prefix: Any) -> UserFilter:
    return UserFilter(where=dict(where or {}), prefix=prefix)


def _filter_problems(where: object, prefix: object) -> Iterator[Problem]:
    if isinstance(where, Mapping):
        yield from (problem for name, value in where.items() if (problem := _filter_problem(name, value)))
    elif where is not None:
        yield Problem("where", "must be a mapping of attributes and properties to values")
    if prefix is not None:
        if not isinstance(prefix, str) or not 1 <= len(prefix) <= MAX_KEY:
            yield Problem("prefix", f"must be text of 1 to {MAX_KEY} characters")
        elif reason := find_text_problem(prefix):
            yield Problem("prefix", reason)


def _filter_problem(name: object, value: object) -> Problem | None:
    if not isinstance(name, str) or find_text_problem(name):
        return Problem("where", "has a key that is no attribute or property")
    if name in RESERVED:
        return Problem(f"where.{name}", "is neither an attribute nor a property")
    if problem := find_value_problem(value, f"where.{name}"):
        path, reason = problem
        return Problem(printable(path), reason)
    if name in ATTRIBUTES and not isinstance(value, str | None):
        return Problem(f"where.{name}", "must be text or None")
    return None
