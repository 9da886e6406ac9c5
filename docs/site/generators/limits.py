"""The table of limits, with the numbers of the code."""

from __future__ import annotations

from typing import Final, NamedTuple

from docs.site.generators.source import table

from rollbook_shared import limits
from rollbook_shared.domain import attributes
from rollbook_shared.environment import settings_of
from rollbook_shared.limits import Limits

_REJECTED: Final = "the client rejects the call"
_INVALID: Final = f"{_REJECTED}; at a worker, a dead letter `invalid`"


class Limit(NamedTuple):
    """A limit, and what happens beyond it."""

    of: str
    most: str
    setting: str
    beyond: str


def page() -> str:
    """The table."""
    return table("of", "at most", "setting", "beyond it", rows=[tuple(limit) for limit in all_limits()])


def all_limits() -> list[Limit]:
    """Every limit of what a job and a user may hold."""
    return [
        Limit(
            "a user id, a key, a tenant, a set or channel id",
            _count(limits.USER_ID_CHARACTERS, "characters"),
            "",
            _INVALID,
        ),
        Limit("a push token", _count(limits.TOKEN_CHARACTERS, "characters"), "", _INVALID),
        Limit("an attribute", _attributes(), "", _INVALID),
        Limit("nesting of a value", _count(limits.NESTING, "levels"), "", _INVALID),
        Limit("an integer", _count(limits.NUMBER_BITS, "bits"), "", _INVALID),
        _adjustable("properties of one user in one job, as JSON", "max_properties_bytes", _REJECTED),
        _adjustable(
            "a preference set, the data of a channel, a trigger's `data`, the rest of a user update, as JSON",
            "max_data_bytes",
            _REJECTED,
        ),
        _adjustable("users of one bulk job", "max_bulk_users", _REJECTED, hard=limits.HARD_BULK_USERS),
        _adjustable("recipients of one trigger", "max_recipients", _REJECTED, hard=limits.HARD_RECIPIENTS),
        _adjustable(
            "messages of one trigger: recipients times channels", "max_messages", _REJECTED, hard=limits.HARD_MESSAGES
        ),
        Limit(
            "one job, as JSON",
            _size(limits.JOB_BYTES),
            "",
            "the client and the outbox reject it; at a worker, a dead letter `malformed`",
        ),
        _adjustable(
            "all that is kept of one user, with the users that were merged into it, as JSON",
            "max_user_bytes",
            "the job becomes a dead letter, `too_large`",
        ),
        _adjustable(
            "seconds that `occurred_at` is ahead of the clock",
            "max_clock_skew",
            f"{_REJECTED}; a worker defers the job until then",
        ),
    ]


def _adjustable(of: str, field: str, beyond: str, *, hard: int | None = None) -> Limit:
    setting = settings_of(Limits)[field]
    value = getattr(Limits(), field)
    most = (
        _size(value) if setting.unit == "bytes" else f"{value:,}" if isinstance(value, int) else setting.format(value)
    )
    if hard is not None:
        beyond += f"; at a worker, a dead letter `invalid` beyond {hard:,}"
    return Limit(of, most, f"`{setting.variable}`", beyond)


def _attributes() -> str:
    most = [f"`{name}` {number:,}" for name, number in attributes.MAX_CHARACTERS.items()]
    return f"{', '.join(most)} characters; an avatar that is `data:image/` {attributes.MAX_IMAGE_CHARACTERS:,}"


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}"


def _size(number: int) -> str:
    for size, unit in ((1024**2, "MiB"), (1024, "KiB")):
        if number % size == 0:
            return f"{number // size} {unit}"
    return f"{number:,} bytes"
