"""The tree of errors that calls raise, with what each means."""

from __future__ import annotations

import inspect

from docs.site.generators.source import summary

import rollbook.errors
from rollbook.errors import RollbookError
from rollbook.publishing import buffered


def page() -> str:
    """The tree, as a list: an error below another is a kind of it."""
    return "\n".join(_line(error, depth) for error, depth in _below(RollbookError))


def classes() -> str:
    """A section for each error, written by mkdocstrings."""
    names = sorted(f"{error.__module__}.{error.__qualname__}" for error in errors())
    return "\n\n".join(f"::: {name}" for name in dict.fromkeys(names))


def errors() -> list[type[RollbookError]]:
    """Every public error."""
    modules = (rollbook.errors, buffered)
    found = [vars(module).values() for module in modules]
    return [item for values in found for item in values if inspect.isclass(item) and issubclass(item, RollbookError)]


def _below(error: type[RollbookError], depth: int = 0) -> list[tuple[type[RollbookError], int]]:
    children = sorted({found for found in errors() if error in found.__bases__}, key=lambda found: found.__name__)
    return [(error, depth), *(entry for child in children for entry in _below(child, depth + 1))]


def _line(error: type[RollbookError], depth: int) -> str:
    builtin = [base.__name__ for base in error.__bases__ if base.__module__ == "builtins" and base is not Exception]
    kind = f" (also a `{builtin[0]}`)" if builtin else ""
    return f"{'    ' * depth}- `{error.__name__}`{kind}: {summary(error.__doc__)}"
