"""Filters of lists. What is no list is taken for a list of one item, and null for an empty one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from liquid.undefined import Undefined
from markupsafe import Markup

from rollbook_delivery.templates.bounds import ITEMS
from rollbook_delivery.templates.filters.filter import Filter, simple
from rollbook_delivery.templates.filters.numbers import add, number
from rollbook_delivery.templates.state import FilterProblem, RenderState
from rollbook_delivery.templates.text import to_text
from rollbook_shared.json_values import canonical_json

_ANY: Final = object()


def items_of(value: Any) -> list[Any]:
    """The items; lists within the list become part of it."""
    if isinstance(value, range):
        return list(value)
    if not isinstance(value, (list, tuple)):
        return [] if value is None else [value]
    flat: list[Any] = []
    for item in value:
        flat.extend(item if isinstance(item, (list, tuple)) else [item])
        if len(flat) > ITEMS:
            raise FilterProblem(f"a list has more than {ITEMS:,} items")
    return flat


def first(value: Any) -> object:
    """The first item, or null."""
    found = items_of(value)
    return found[0] if found else None


def last(value: Any) -> object:
    """The last item, or null."""
    found = items_of(value)
    return found[-1] if found else None


def join(state: RenderState, escape: bool, value: Any, separator: object = " ") -> str:
    """All items as one text. In HTML each is escaped; in text none is."""
    texts = [to_text(item, escape=escape) for item in items_of(value)]
    between = to_text(separator, escape=escape)
    if sum(map(len, texts)) + len(between) * max(len(texts) - 1, 0) > state.bounds.characters:
        raise FilterProblem("the filter `join` gives too large a value")
    joined = between.join(texts)
    return Markup(joined) if escape else joined


def map_items(value: Any, key: object) -> list[object]:
    """The key of each item; null where it has none."""
    return [_get(item, key) for item in items_of(value)]


def where(value: Any, key: object, wanted: object = _ANY) -> list[object]:
    """The items whose key has the value; without a value, those whose key is neither null nor false."""
    return [item for item in items_of(value) if _matches(item, key, wanted)]


def reject(value: Any, key: object, unwanted: object = _ANY) -> list[object]:
    """The other items."""
    return [item for item in items_of(value) if not _matches(item, key, unwanted)]


def find(value: Any, key: object, wanted: object = _ANY) -> object:
    """The first of the items that `where` gives, or null."""
    return next((item for item in items_of(value) if _matches(item, key, wanted)), None)


def find_index(value: Any, key: object, wanted: object = _ANY) -> object:
    """Its index, from 0, or null."""
    return next((index for index, item in enumerate(items_of(value)) if _matches(item, key, wanted)), None)


def has(value: Any, key: object, wanted: object = _ANY) -> bool:
    """Whether `where` gives any."""
    return any(_matches(item, key, wanted) for item in items_of(value))


def reverse(value: Any) -> list[object]:
    """The last item first."""
    return items_of(value)[::-1]


def sort(value: Any, key: object = None) -> list[object]:
    """Sorted, by a key if it is given; items that lack it come last."""
    return _sorted(value, key, lambda item: item)


def sort_natural(value: Any, key: object = None) -> list[object]:
    """Sorted as text, without regard to case."""
    return _sorted(value, key, lambda item: to_text(item).casefold())


def concat(value: Any, other: Any) -> list[object]:
    """The items of both."""
    if not isinstance(other, (list, tuple, range)):
        raise FilterProblem("the filter `concat` takes a list")
    return [*items_of(value), *other]


def compact(value: Any, key: object = None) -> list[object]:
    """Without null, or without items whose key is null."""
    return [item for item in items_of(value) if (item if key is None else _get(item, key)) is not None]


def uniq(value: Any, key: object = None) -> list[object]:
    """Each value once. Compared as JSON, so that objects, too, take linear time."""
    seen: dict[bytes, object] = {}
    for item in items_of(value):
        seen.setdefault(canonical_json(item if key is None else _get(item, key)), item)
    return list(seen.values())


def total(value: Any, key: object = None) -> int | float:
    """The sum; null counts nothing."""
    result: int | float = 0
    for item in items_of(value):
        found = item if key is None else _get(item, key)
        result = result if found is None else add(result, number(found))
    return result


def size(value: Any) -> int:
    """How many items, characters or keys."""
    return len(value) if isinstance(value, (str, list, tuple, dict, range)) else 0


def _get(item: Any, key: object) -> object:
    return item.get(to_text(key)) if isinstance(item, Mapping) and not isinstance(item, Undefined) else None


def _matches(item: Any, key: object, wanted: object) -> bool:
    found = _get(item, key)
    return found not in (None, False) if wanted is _ANY else found == wanted


def _sorted(value: Any, key: object, by: Callable[[Any], Any]) -> list[object]:
    keyed = [(item if key is None else _get(item, key), item) for item in items_of(value)]
    known = sorted((pair for pair in keyed if pair[0] is not None), key=lambda pair: by(pair[0]))
    return [item for _, item in (*known, *(pair for pair in keyed if pair[0] is None))]


LIST_FILTERS: Final[Mapping[str, Filter]] = {
    "compact": simple(compact, "compact", "without null; `compact: key`: without items whose key is null"),
    "concat": simple(concat, "concat: list", "the items of both lists"),
    "find": simple(find, 'find: "plan", "pro"', "the first item whose key has the value"),
    "find_index": simple(find_index, 'find_index: "plan", "pro"', "its index, from 0"),
    "first": simple(first, "first", "the first item"),
    "has": simple(has, 'has: "plan", "pro"', "whether an item has the value"),
    "join": Filter(join, 'join: ", "', "all items as one text"),
    "last": simple(last, "last", "the last item"),
    "map": simple(map_items, 'map: "name"', "the key of each item"),
    "reject": simple(reject, 'reject: "plan", "pro"', "the items whose key has another value"),
    "reverse": simple(reverse, "reverse", "the last item first"),
    "size": simple(size, "size", "how many items, characters or keys"),
    "sort": simple(sort, 'sort: "at"', "sorted, by a key if it is given; items without it come last"),
    "sort_natural": simple(sort_natural, 'sort_natural: "name"', "sorted as text, without regard to case"),
    "sum": simple(total, 'sum: "price"', "the sum, of a key if it is given"),
    "uniq": simple(uniq, 'uniq: "id"', "each value once"),
    "where": simple(where, 'where: "plan", "pro"', "the items whose key has the value; without a value, any but false"),
}
