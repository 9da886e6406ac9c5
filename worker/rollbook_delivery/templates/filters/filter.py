"""What a filter is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of templates, with what the reference says of it."""

    apply: Callable[..., object]
    """Takes the `RenderState`, whether HTML is escaped, the value, and the arguments that the template gives."""
    usage: str
    """As in a template, with its arguments."""
    summary: str
    takes_text: bool = False
    """Values that are no text become it."""
    plain: bool = False
    """It takes the text that `Markup` shows, and gives text that is escaped again."""
    takes_missing: bool = False


def simple(
    function: Callable[..., object], usage: str, summary: str, *, takes_text: bool = False, plain: bool = False
) -> Filter:
    """A filter whose function takes the value and the arguments only."""

    def apply(state: Any, escape: bool, value: object, *arguments: object, **options: object) -> object:
        return function(value, *arguments, **options)

    return Filter(apply, usage, summary, takes_text, plain)


def plain_text(function: Callable[..., object], usage: str, summary: str) -> Filter:
    """A filter that changes text."""
    return simple(function, usage, summary, takes_text=True, plain=True)
