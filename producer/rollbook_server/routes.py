"""The table of endpoints: what routing and the OpenAPI document are both made of."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from rollbook_server.access.permissions import Permission
from rollbook_server.call import Call
from rollbook_server.http.answers import Answer

Handler = Callable[[Call], Awaitable[Answer]]
_PATH_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a query string, for the OpenAPI document."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiRoute:
    """One call of the API."""

    method: str
    path: str
    handler: Handler
    """Its docstring is the description in the OpenAPI document; its first line the summary."""
    permission: Permission | None = None
    """What a user's token must permit; None: only a secret key may call it."""
    body: Any = None
    """The type of the JSON body, such as a TypedDict; None: it has none."""
    answer: Any = None
    """The type of the answer; None: 204."""
    query: tuple[Parameter, ...] = ()
    writes: bool = False
    """Whether it takes an idempotency key, and may answer 202."""
    streams: bool = False
    """Whether it answers with server-sent events, whose data has the type `answer`. Browsers cannot set headers for
    such a call, so the key and the user token may stand in the query, as `api_key` and `user_token`.
    """
    authorised_by_handler: bool = False
    """Whether the handler itself looks at the key; otherwise no handler runs without a valid one."""
    tag: str = ""

    @property
    def name(self) -> str:
        """The method and the path with placeholders, as metrics, spans and logs name it."""
        return f"{self.method} {self.path}"

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(_PATH_PARAMETER.findall(self.path))
