"""Names of columns and keys that mean an attribute, and how the user renames others."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rollbook_ops.file_format import NotImportable
from rollbook_shared.domain.attributes import ATTRIBUTES

_NAMES: Final = (*ATTRIBUTES, "id", "preferences", "channel_data")
_KNOWN: Final = {name.replace("_", ""): name for name in _NAMES}


@functools.lru_cache(maxsize=1_000)
def meant_name(name: str) -> str | None:
    """Return the attribute that `name` means in another spelling (`Phone Number`, `createdAt`); None if it means none.

    `id`, `preferences` and `channel_data` count as attributes here.
    """
    known = _KNOWN.get("".join(filter(str.isalnum, name)).casefold())
    return None if known == name else known


def rename_columns(columns: Sequence[str], renamed: Mapping[str, str]) -> list[str]:
    """Return the names of the columns of a table: those that `renamed` gives, attributes in our spelling, and others.

    A spelling is not changed if another column has the attribute's name.

    Raises:
        NotImportable: a column of `renamed` is missing, or two columns have one name.
    """
    _require_columns(columns, renamed)
    given = [renamed.get(column, column) for column in columns]
    names = [
        name if column in renamed or (known := meant_name(name)) is None or known in given else known
        for column, name in zip(columns, given, strict=True)
    ]
    for index, name in enumerate(names):
        if name in names[:index]:
            first, second = columns[names.index(name)], columns[index]
            if first == second:
                raise NotImportable(f"two columns are named {name!r}")
            raise NotImportable(f"the columns {first!r} and {second!r} both mean {name}; rename one of them with --map")
    return names


def _require_columns(columns: Iterable[str], renamed: Mapping[str, str]) -> None:
    if missing := next((name for name in renamed if name not in columns), None):
        raise NotImportable(f"no column is named {missing!r}, which --map names")
