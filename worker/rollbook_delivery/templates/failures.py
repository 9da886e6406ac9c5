"""Liquid's errors as `TemplateError`: with the line in the file, and no value of a person."""

from __future__ import annotations

from typing import Final

from liquid.exceptions import (
    BlockNestingError,
    ContextDepthError,
    LiquidError,
    LiquidSyntaxError,
    LiquidTypeError,
    TemplateNotFoundError,
    UndefinedError,
    UnknownFilterError,
)

from rollbook_delivery.templates.bounds import BLOCKS
from rollbook_delivery.templates.errors import TemplateError
from rollbook_delivery.templates.sources import SourceProblem
from rollbook_delivery.templates.state import BoundExceeded, FilterProblem

_OURS: Final = (BoundExceeded, FilterProblem, TemplateNotFoundError, UndefinedError, UnknownFilterError)
"""Their texts are made here, of names in the template. Texts of the library may hold values."""


def parse_problem(error: LiquidError, first_line: int, text: str) -> SourceProblem:
    """Why a template is not valid. No data was there yet, so the library's text is safe."""
    if isinstance(error, BlockNestingError):
        reason = f"blocks are nested deeper than {BLOCKS} levels"
    else:
        reason = str(error.message).partition("\n")[0] or "it is not valid"
    line = line_of(error, first_line) or first_line + text.rstrip().count("\n")  # what is missing is missing at the end
    return SourceProblem(line, reason)


def render_failure(error: Exception, template: str, first_line: int) -> TemplateError:
    """The error of a template with these data."""
    if not isinstance(error, LiquidError):
        return TemplateError(template, None, f"it failed with {type(error).__name__}")
    return TemplateError(template, line_of(error, first_line), _reason(error))


def line_of(error: LiquidError, first_line: int) -> int | None:
    """The line in the file to blame; None if the error names none."""
    token = error.token
    if token is None or token.start_index < 0:
        return None
    return first_line + token.source.count("\n", 0, token.start_index)


def _reason(error: LiquidError) -> str:
    match error:
        case _ if isinstance(error, _OURS):
            return str(error.message)
        case ContextDepthError():
            return f"partials and loops are nested deeper than {BLOCKS} levels"
        case LiquidTypeError():
            return "these values cannot be compared"
        case LiquidSyntaxError():
            return "`break` or `continue` without a loop, or a text that is no number"
        case _:
            return f"it failed with {type(error).__name__}"
