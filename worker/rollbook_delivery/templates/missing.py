"""The name of what is missing, as the template has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from liquid.token import Token

_PATH: Final = re.compile(r"""[\w-]+(?:\.[\w-]+|\[(?:"[^"\]]*"|'[^'\]]*'|[\w.-]+)\])*\??""")
_MAX: Final = 200


def missing_name(token: Token | None, name: str) -> str:
    """The path in the template that begins at the token; `name` if there is no token.

    A path such as `data[recipient.name]` is given as it is written: its value may be a person's.
    """
    if token is None or token.start_index < 0:
        return name
    found = _PATH.match(token.source, token.start_index)
    return found[0][:_MAX] if found else name
