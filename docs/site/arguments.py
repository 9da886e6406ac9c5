"""A Griffe extension: our docstrings describe arguments as `name: what it is`, without a heading. Here they get one."""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

_ARGUMENT: Final = re.compile(r"^(\w+): ", re.MULTILINE)


class Arguments(griffe.Extension):
    """Turns such a paragraph into the section `Args`, which the page shows as a list."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """See `griffe.Extension`."""
        if func.docstring is not None:
            names = {parameter.name for parameter in func.parameters}
            func.docstring.value = with_heading(func.docstring.value, names)


def with_heading(text: str, names: set[str]) -> str:
    """The docstring with `Args:` above each paragraph that describes arguments of these names."""
    return "\n\n".join(
        "Args:\n" + _indented(paragraph) if _describes(paragraph, names) else paragraph
        for paragraph in text.split("\n\n")
    )


def _describes(paragraph: str, names: set[str]) -> bool:
    return not paragraph.startswith(" ") and any(
        paragraph.startswith(f"{name}: ") for name in names & set(_ARGUMENT.findall(paragraph))
    )


def _indented(paragraph: str) -> str:
    return "\n".join(f"    {line}" for line in paragraph.splitlines())
