"""Finds users as one types: by the beginning of the id, the e-mail address or the name, or by the whole phone number.

Where an optional index is missing, and for accounts who see no personal data, it finds the beginning of ids and whole
e-mail addresses and phone numbers: by prefixes one could guess masked data, a character at a time.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rollbook import AsyncRollbook
from rollbook.errors import NotConfigured
from rollbook.models import Page, User, UserCount
from rollbook.queries.user_list import UserCursor, UserSort
from rollbook_shared.domain.attributes import ATTRIBUTES

_PHONE_NUMBER: Final = re.compile(r"\+[0-9]{5,}")
MOST: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class UserSearch:
    """What to find."""

    text: str = ""
    """What was typed."""
    where: Mapping[str, Any]
    sort: UserSort | None = None
    after: str | None = None
    before: str | None = None
    by_prefix: bool = True
    """Whether e-mail addresses and names may be found by how they begin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundUsers:
    """A page of users."""

    page: Page[User]
    count: UserCount | None = None
    """None: it was not counted."""
    note: str = ""
    """What a person should know of the result."""


async def search_users(rb: AsyncRollbook, search: UserSearch) -> FoundUsers:
    """A page of the users that match.

    Raises:
        InvalidRequest, NotConfigured, Unavailable: as of `users.list`.
    """
    if not search.text:
        return await _list(rb, search, search.where, None)
    if _PHONE_NUMBER.fullmatch(search.text):
        try:
            return await _list(rb, search, {**search.where, "phone_number": search.text}, None)
        except NotConfigured as error:
            return FoundUsers(page=Page(items=(), after=None), note=str(error))
    if not search.by_prefix:
        return await _by_id(rb, search, "")
    try:
        return await _list(rb, search, search.where, search.text[:200])
    except NotConfigured as error:
        return await _by_id(rb, search, f"Found by the beginning of ids and by whole e-mail addresses: {error}.")


async def _list(rb: AsyncRollbook, search: UserSearch, where: Mapping[str, Any], prefix: str | None) -> FoundUsers:
    page, count = await asyncio.gather(
        rb.users.list(
            limit=MOST, where=where, prefix=prefix, sort=search.sort, after=search.after, before=search.before
        ),
        rb.users.count(where=where, prefix=prefix),
    )
    return FoundUsers(page=page, count=count)


async def _by_id(rb: AsyncRollbook, search: UserSearch, note: str) -> FoundUsers:
    """The users whose id begins so, read from the place in the list where the first of them would be."""
    start = search.after or UserCursor("id", 0, search.text, search.text, inclusive=True).as_text()
    page = await rb.users.list(limit=MOST, where=search.where, after=start)
    found = tuple(user for user in page.items if user.id.startswith(search.text))
    whole = len(found) == len(page.items)
    if search.after is None and "@" in search.text and not search.where:
        known = {user.id for user in found}
        found = (*(user for user in await rb.users.find(email=search.text) if user.id not in known), *found)
    return FoundUsers(page=Page(items=found, after=page.after if whole else None), note=note)


def parse_condition(name: str, value: str) -> Any:
    """The value that an attribute or property is compared with: of a property JSON, or else the text."""
    if name in ATTRIBUTES:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
