"""The parameters of pages."""

from __future__ import annotations

from typing import Final

from rollbook_server.call import Call
from rollbook_server.http.errors import invalid
from rollbook_server.routes import Parameter
from rollbook_shared.errors import Problem

MAX_SIZE: Final = 50
DEFAULT_SIZE: Final = 50
PAGE_PARAMETERS: Final = (
    Parameter("after", "The `after` of a page, to read the next one.", {"type": "string"}),
    Parameter("before", "The `before` of a page, to read the previous one.", {"type": "string"}),
    Parameter(
        "page_size",
        "Items of a page.",
        {"type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_SIZE},
    ),
)
MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 50
LIST_PARAMETERS: Final = (
    Parameter("limit", "1 to 1,000; 50 by default.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
    Parameter("after", "The `after` of the previous page.", {"type": "string"}),
)
"""Of the lists that only Rollbook has; `PAGE_PARAMETERS` are Knock's."""


def page_size(call: Call) -> int:
    """How many items the page is to have.

    Raises:
        ApiError: 422, it is out of its bounds.
    """
    return call.query.number("page_size", DEFAULT_SIZE, least=1, most=MAX_SIZE)


def list_limit(call: Call) -> int:
    """How many items the list is to have at most.

    Raises:
        ApiError: 422, it is out of its bounds.
    """
    return call.query.number("limit", DEFAULT_LIMIT, least=1, most=MAX_LIMIT)


def refuse_before(call: Call) -> None:
    """Refuse `before` where a list is read in one direction only.

    Raises:
        ApiError: 422.
    """
    if call.query.text("before") is not None:
        raise invalid([Problem("before", "is not supported by this list")])
