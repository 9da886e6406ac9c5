"""The list of users: search as one types, filters, order, pages and how many there are."""

from __future__ import annotations

from typing import Any, Final, get_args

from starlette.responses import Response

from rollbook.errors import NotConfigured
from rollbook.queries.user_list import UserSort
from rollbook_server.console.call import ConsoleCall
from rollbook_server.console.errors import ConsoleError
from rollbook_server.console.roles import Role
from rollbook_server.console.routes import ConsoleRoute
from rollbook_server.console.user_search import UserSearch, parse_condition, search_users

_MAX_CURSOR: Final = 5_000
_MAX_FILTERS: Final = 5
_SORTS: Final = {
    "": "by id",
    "-updated_at": "changed last",
    "updated_at": "changed first",
    "-created_at": "newest",
    "created_at": "oldest",
    "-id": "by id, backwards",
}


async def users_page(call: ConsoleCall) -> Response:
    """A page of users."""
    filters = _filters(call)
    problem = ""
    if filters and not call.shows_personal_data:
        filters, problem = [], "Filters compare values that are masked for you, so they are not applied."
    sort: Any = call.text("sort") or None
    if sort is not None and sort not in get_args(UserSort):
        raise ConsoleError(400, "Not valid", "There is no such order.")
    search = UserSearch(
        text=call.text("q", 256),
        where={name: parse_condition(name, value) for name, value in filters},
        sort=sort,
        after=call.text("after", _MAX_CURSOR) or None,
        before=call.text("before", _MAX_CURSOR) or None,
        by_prefix=call.shows_personal_data,
    )
    try:
        found = await search_users(call.rb, search)
    except NotConfigured as error:
        if sort is None:
            raise
        problem = f"Sorted by id: {error}."
        sort = None
        found = await search_users(call.rb, UserSearch(text=search.text, where=search.where))
    if call.is_revealed:
        call.audit.name_users(user.id for user in found.page.items)
    query = {"q": search.text, "key": [name for name, _ in filters], "is": [v for _, v in filters], "sort": sort}
    return call.render(
        "users.html", found=found, search=search, filters=filters, query=query, sorts=_SORTS, sort=sort, problem=problem
    )


def _filters(call: ConsoleCall) -> list[tuple[str, str]]:
    """Pairs of a name and a value; those without a name were left empty."""
    names, values = call.query.getlist("key")[: _MAX_FILTERS + 1], call.query.getlist("is")[: _MAX_FILTERS + 1]
    if len(names) != len(values) or len(names) > _MAX_FILTERS + 1:
        raise ConsoleError(400, "Not valid", "Each filter has a name and a value.")
    return [(name.strip(), value.strip()) for name, value in zip(names, values, strict=True) if name.strip()]


ROUTES: Final = (
    ConsoleRoute(method="GET", path="/users", page=users_page, role=Role.READER, reveals=True, menu="Users"),
)
