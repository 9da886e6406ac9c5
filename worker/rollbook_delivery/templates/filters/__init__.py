"""The filters that templates may use, each bounded by the size of what it takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from liquid.exceptions import UndefinedError
from liquid.undefined import Undefined

from rollbook_delivery.templates.bounds import ITEMS
from rollbook_delivery.templates.filters.filter import Filter
from rollbook_delivery.templates.filters.lists import LIST_FILTERS
from rollbook_delivery.templates.filters.numbers import NUMBER_FILTERS
from rollbook_delivery.templates.filters.texts import TEXT_FILTERS
from rollbook_delivery.templates.filters.times import TIME_FILTERS
from rollbook_delivery.templates.state import FilterProblem, RenderState
from rollbook_delivery.templates.text import to_text, without_markup
from rollbook_shared.limits import NUMBER_BITS

__all__ = ["FILTERS", "LIST_FILTERS", "NUMBER_FILTERS", "TEXT_FILTERS", "TIME_FILTERS", "Filter", "apply_filter"]

FILTERS: Final[Mapping[str, Filter]] = MappingProxyType(
    {**TEXT_FILTERS, **LIST_FILTERS, **NUMBER_FILTERS, **TIME_FILTERS}
)


def apply_filter(
    state: RenderState, escape: bool, name: str, filter: Filter, value: object, *arguments: object, **options: object
) -> object:
    """Apply a filter.

    Raises:
        UndefinedError: the value or an argument is missing.
        FilterProblem: it cannot do this, or what it takes or gives is too large.
    """
    state.check_time()
    for given in (value, *arguments, *options.values()):
        if isinstance(given, Undefined):
            if not (filter.takes_missing and given is value):
                raise _missing(given)
        elif not _fits(given, state):
            raise FilterProblem(f"the filter `{name}` takes too large a value")
    if filter.takes_text and not isinstance(value, str):
        value = to_text(value)
    if filter.plain and isinstance(value, str):
        value = without_markup(value)
    try:
        result = filter.apply(state, escape, value, *arguments, **options)
    except (FilterProblem, UndefinedError):
        raise
    except Exception:
        # Whatever it is, its text may hold the value.
        raise FilterProblem(f"the filter `{name}` cannot take this value or these arguments") from None
    if not _fits(result, state):
        raise FilterProblem(f"the filter `{name}` gives too large a value")
    return result


def _fits(value: Any, state: RenderState) -> bool:
    match value:
        case str():
            return len(value) <= state.bounds.characters
        case list() | tuple() | dict():
            return len(value) <= ITEMS
        case int():
            return value.bit_length() <= NUMBER_BITS
        case _:
            return True


def _missing(value: Undefined) -> Exception:
    try:
        str(value)
    except UndefinedError as error:
        return error
    return FilterProblem("a value is missing")
