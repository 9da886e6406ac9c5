"""Filters of numbers. A text that is a number is one; anything else is an error, not zero: it may be a price."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from babel import numbers as babel_numbers

from rollbook_delivery.templates.filters.filter import Filter, simple
from rollbook_delivery.templates.filters.locales import locale_of
from rollbook_delivery.templates.state import FilterProblem, RenderState
from rollbook_delivery.templates.text import to_text

_MAX_DIGITS: Final = 300
"""Of a number that is text: no double has more, and reading longer ones takes quadratic time."""

Number = int | float


def number(value: Any) -> Number:
    """The value as a number.

    Raises:
        FilterProblem: it is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= _MAX_DIGITS:
        for read in (int, float):
            try:
                return read(value)
            except ValueError:
                continue
    raise FilterProblem("a value is no number")


def add(left: Number, right: Number) -> Number:
    """The sum, without the errors of binary fractions."""
    return _exact(left, right, lambda a, b: a + b)


def _exact(left: Number, right: Number, operation: Callable[[Any, Any], Any]) -> Number:
    if isinstance(left, int) and isinstance(right, int):
        return int(operation(left, right))
    return float(operation(Decimal(str(left)), Decimal(str(right))))


def _calculate(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Number]:
    return lambda value, other: _exact(number(value), number(other), operation)


def _divided_by(value: Any, other: Any) -> Number:
    left, right = number(value), number(other)
    if not right:
        raise FilterProblem("the filter `divided_by` cannot divide by zero")
    return left // right if isinstance(left, int) and isinstance(right, int) else left / right


def _modulo(value: Any, other: Any) -> Number:
    left, right = number(value), number(other)
    if not right:
        raise FilterProblem("the filter `modulo` cannot divide by zero")
    return left % right


def _round(value: Any, digits: Any = 0) -> Number:
    places = int(number(digits))
    return round(number(value)) if places <= 0 else round(number(value), min(places, _MAX_DIGITS))


def _format_number(state: RenderState, escape: bool, value: Any, locale: object = None) -> str:
    return babel_numbers.format_decimal(_decimal(value), locale=locale_of(locale, state))


def _currency(state: RenderState, escape: bool, value: Any, code: object = "USD", locale: object = None) -> str:
    return babel_numbers.format_currency(_decimal(value), to_text(code), locale=locale_of(locale, state))


def _rounded_currency(state: RenderState, escape: bool, value: Any, code: object = "USD", locale: object = None) -> str:
    return babel_numbers.format_currency(
        round(_decimal(value)), to_text(code), locale=locale_of(locale, state), currency_digits=False, format="¤#,##0"
    )


def _pluralize(value: Any, one: object, other: object) -> object:
    return one if number(value) == 1 else other


def _decimal(value: Any) -> Decimal:
    found = Decimal(str(number(value)))
    if not found.is_finite():
        raise FilterProblem("a value is no number")
    return found


NUMBER_FILTERS: Final[Mapping[str, Filter]] = {
    "abs": simple(lambda value: abs(number(value)), "abs", "without its sign"),
    "at_least": simple(lambda value, least: max(number(value), number(least)), "at_least: 1", "the larger of both"),
    "at_most": simple(lambda value, most: min(number(value), number(most)), "at_most: 9", "the smaller of both"),
    "ceil": simple(lambda value: math.ceil(number(value)), "ceil", "rounded up"),
    "floor": simple(lambda value: math.floor(number(value)), "floor", "rounded down"),
    "round": simple(_round, "round: 2", "rounded to so many decimal places; without an argument to none"),
    "plus": simple(_calculate(lambda a, b: a + b), "plus: 1", "the sum"),
    "minus": simple(_calculate(lambda a, b: a - b), "minus: 1", "the difference"),
    "times": simple(_calculate(lambda a, b: a * b), "times: 2", "the product"),
    "divided_by": simple(_divided_by, "divided_by: 2", "the quotient; of two integers, rounded down"),
    "modulo": simple(_modulo, "modulo: 2", "the remainder"),
    "format_number": Filter(_format_number, "format_number", "as in the recipient's locale, or in one that you name"),
    "currency": Filter(
        _currency, 'currency: "EUR"', "an amount in the recipient's locale, or in one that you name after the currency"
    ),
    "rounded_currency": Filter(_rounded_currency, 'rounded_currency: "EUR"', "the same without decimal places"),
    "pluralize": simple(_pluralize, 'pluralize: "reply", "replies"', "the first text for 1, the second for others"),
}
