"""Names of a package that are imported when they are first used, so that a program pays only for what it calls.

A package gives them to type checkers and editors in a block under `TYPE_CHECKING`, and at run time by two functions:

    if TYPE_CHECKING:
        from shop.orders import Order, find_order
    else:
        __getattr__, __dir__ = lazy_names(__name__, {"shop.orders": "Order find_order"})

Type checkers do not see the functions: these would make every misspelt name a valid one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The `__getattr__` of a package, which imports a name from its module and keeps it, and its `__dir__`.

    A name that was used once is an ordinary one, and costs no more than any other. Threads may use it first at the same
    time: Python imports a module once.

    modules: module -> the names that are in it, separated by blanks.
    """
    origins = {name: module for module, names in modules.items() for name in names.split()}

    def import_name(name: str) -> object:
        if name not in origins:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(origins[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted(vars(sys.modules[package]).keys() | origins.keys())

    return import_name, list_names
