"""Looks at a template's delimiters before it is parsed.

python-liquid's lexer is a regular expression that backtracks: it takes quadratic time for `{{` without `}}` and for
long runs of blanks in tags, which is minutes for 256 KiB. This takes linear time, and says which line is to blame.
"""

from __future__ import annotations

import re
from typing import Final

_OPEN: Final = re.compile(r"\{\{|\{%")
_CLOSE: Final = {"{{": "}}", "{%": "%}"}
_VERBATIM: Final = re.compile(r"\{%-?\s*(raw|doc)\s*-?%\}")
_VERBATIM_END: Final = {name: re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}") for name in ("raw", "doc")}
_MAX_BLANKS: Final = 100
_BLANKS: Final = re.compile(rf"\s{{{_MAX_BLANKS + 1}}}")


def find_delimiter_problem(text: str) -> tuple[int, str] | None:
    """Where the first tag is that cannot be lexed quickly, and why; None if there is none."""
    at = 0
    while opened := _OPEN.search(text, at):
        verbatim = _VERBATIM.match(text, opened.start())
        if verbatim:
            ended = _VERBATIM_END[verbatim[1]].search(text, verbatim.end())
            if not ended:
                return opened.start(), f"`{verbatim[1]}` has no `end{verbatim[1]}`"
            at = ended.end()
            continue
        closed = text.find(_CLOSE[opened[0]], opened.end())
        if closed < 0:
            return opened.start(), f"`{opened[0]}` has no `{_CLOSE[opened[0]]}`"
        if _BLANKS.search(text, opened.end(), closed):
            return opened.start(), f"a tag has more than {_MAX_BLANKS} blanks in a row"
        at = closed + 2
    return None
