"""Which JSON values are kept: those that Postgres stores and every language reads back the same.

Rejected: NUL and lone surrogates (in keys too), NaN and infinities, keys that are not strings, nesting deeper than 32
levels, integers beyond a double's range, and whatever is not JSON at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rollbook_shared.limits import NESTING, NUMBER_BITS

_COMMON: Final = 1 << 63
"""Numbers below are told to be small enough without counting their bits."""
_CONTAINERS: Final = (dict, list, tuple)
CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0))
"""Control characters: a terminal obeys them instead of showing them, and a line break ends the line of a log."""
_WRITTEN_OUT: Final = {code: repr(chr(code))[1:-1] for code in CONTROLS} | {0: "\\0"}


def text_problem(text: str) -> str | None:
    """Why this text cannot be stored, or None."""
    if text.isascii():
        return "holds a NUL character" if "\0" in text else None
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return None


def value_problem(value: object, path: str) -> tuple[str, str] | None:
    """The first (path, reason) that keeps `value` from being stored, or None.

    Walks level by level and stops one level past the limit, so that a value nested without end costs no more than one
    nested 33 deep.
    """
    level: list[tuple[str, object]] = [(path, value)]
    for depth in range(NESTING + 1):
        inner: list[tuple[str, object]] = []
        for where, item in level:
            if isinstance(item, (dict, list, tuple)):
                if depth == NESTING:
                    return _branch(value, path, where), f"is nested deeper than {NESTING} levels"
                if problem := _key_problem(item, where):
                    return problem
                inner.extend(_children(item, where))
            elif reason := _scalar_problem(item):
                return where, reason
        level = inner
    return None


def is_storable(container: dict[Any, Any] | list[Any], *, texts_are_good: bool = False, levels: int = NESTING) -> bool:
    """Whether it certainly has no problem; where not, `value_problem` says whether it has one, and which.

    Much faster, for it keeps no paths. `texts_are_good` says that all texts in it can be stored.
    """
    if not levels:
        return False
    if type(container) is dict:
        if not texts_are_good and not _are_good_keys(container):
            return False
        items: Iterable[object] = container.values()
    else:
        items = container
    for item in items:
        if type(item) is str:
            if not texts_are_good and not _is_good_text(item):
                return False
        elif item is None or item is True or item is False:
            continue
        elif type(item) is int:
            if not -_COMMON < item < _COMMON:
                return False
        elif type(item) is float:
            if not math.isfinite(item):
                return False
        elif type(item) is dict or type(item) is list:
            if not is_storable(item, texts_are_good=texts_are_good, levels=levels - 1):
                return False
        else:
            return False
    return True


def deep_copy(value: Any) -> Any:
    """A value that has no problem, with objects and lists of its own: what callers do to theirs changes no job."""
    if isinstance(value, dict):
        copy = dict(value)
        for key, item in value.items():
            if isinstance(item, _CONTAINERS):
                copy[key] = deep_copy(item)
        return copy
    if isinstance(value, (list, tuple)):
        return [deep_copy(item) if isinstance(item, _CONTAINERS) else item for item in value]
    return value


def printable(text: str) -> str:
    """The text with control characters and what cannot be stored written out, for what is shown to people."""
    return text.translate(_WRITTEN_OUT).encode(errors="backslashreplace").decode()


def _are_good_keys(container: dict[Any, Any]) -> bool:
    try:
        return _is_good_text("".join(container))
    except TypeError:
        return False


def _is_good_text(text: str) -> bool:
    return "\0" not in text if text.isascii() else text_problem(text) is None


def _children(
    container: dict[Any, object] | list[object] | tuple[object, ...], path: str
) -> Iterator[tuple[str, object]]:
    if isinstance(container, dict):
        return ((f"{path}.{key}", item) for key, item in container.items())
    return ((f"{path}[{index}]", item) for index, item in enumerate(container))


def _branch(value: object, path: str, where: str) -> str:
    """The item of `value` that holds the place `where`; the whole way there would be too long to read."""
    items = _children(value, path) if isinstance(value, (dict, list, tuple)) else ()
    return max((begin for begin, _ in items if where.startswith(begin)), key=len, default=path)


def _key_problem(container: object, path: str) -> tuple[str, str] | None:
    if isinstance(container, dict):
        for key in container:
            if not isinstance(key, str):
                return path, "has a key that is not text"
            if reason := text_problem(key):
                return path, f"has a key that {reason}"
    return None


def _scalar_problem(value: object) -> str | None:
    # bool is an int to isinstance; subclasses such as enums are written as their values
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return text_problem(value)
    if isinstance(value, int):
        return "is a number too large to keep" if value.bit_length() > NUMBER_BITS else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not a finite number"
    return f"is not a JSON value ({type(value).__name__})"
