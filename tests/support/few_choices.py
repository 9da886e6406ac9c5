"""Hypothesis strategies that take few choices: each costs a twentieth of a millisecond, whatever is made of it.

A law is tried hundreds of times, and most of its time goes into the choices. For each key of a dictionary, and for each
item of a list, hypothesis takes up to three; `st.recursive` draws again what has become too large.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_ABSENT: Final = object()


def any_of(values: Sequence[Any]) -> SearchStrategy[Any]:
    """One of the values, the first being the simplest. The message of a failure does not list them."""

    def value(number: int) -> Any:
        return values[number]

    return st.integers(0, len(values) - 1).map(value)


def combinations(**values: Iterable[Any]) -> list[dict[str, Any]]:
    """All dictionaries in which each key is absent or has one of its values."""
    each = [[{}, *({key: value} for value in allowed)] for key, allowed in values.items()]
    return [{key: value for part in parts for key, value in part.items()} for parts in product(*each)]


def sequences(items: Sequence[Any], *, least: int = 0, most: int) -> list[list[Any]]:
    """All lists of so many items."""
    return [list(found) for size in range(least, most + 1) for found in product(items, repeat=size)]


def optional(**values: Sequence[Any] | SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """Dictionaries in which each key is absent, half of the time, or has one of its values."""

    def dictionary(found: tuple[Any, ...]) -> dict[str, Any]:
        return {key: value for key, value in zip(values, found, strict=True) if value is not _ABSENT}

    return st.tuples(*map(_or_absent, values.values())).map(dictionary)


def _or_absent(values: Sequence[Any] | SearchStrategy[Any]) -> SearchStrategy[Any]:
    if isinstance(values, SearchStrategy):
        return weighted((1, st.just(_ABSENT)), (1, values))
    return any_of([*[_ABSENT] * len(values), *values])


def weighted(*strategies: tuple[int, SearchStrategy[Any]]) -> SearchStrategy[Any]:
    """A value of one of the strategies; each has its weight. `st.one_of` takes each once, however often it is given."""
    each = [strategy for weight, strategy in strategies for _ in range(weight)]

    def strategy(number: int) -> SearchStrategy[Any]:
        return each[number]

    return st.integers(0, len(each) - 1).flatmap(strategy)
