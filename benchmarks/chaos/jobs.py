"""Jobs of every kind that get into each other's way: a pure function of chance and of a moment.

Users come in small circles, and what happens, happens within one: merges in all directions, deletes, ids used again. A
few circles are busy. Moments are drawn from few in each circle, some exactly a merge's 30 days of history before
another or a microsecond off, so that ties and edges are common.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, Final

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.models import MODELS, Job
from rollbook_shared.reference.traits import full_traits, preference_set, push_tokens, some_traits

_MICROSECOND: Final = timedelta(microseconds=1)
SPAN: Final = timedelta(days=45) // _MICROSECOND
HISTORY: Final = timedelta(days=30) // _MICROSECOND
CIRCLE: Final = 5
"""Users in a circle: together they may become one family, whose every write costs with its size."""
_JOBS_A_CIRCLE: Final = 25
_JOBS_A_BUSY_CIRCLE: Final = 800
_BUSY: Final = 0.2
_OUTSIDE: Final = 0.01
_MARKED: Final = ("seen", "unseen", "read", "unread", "archived", "unarchived")
_WORKFLOWS: Final = ("new-comment", "invoice-paid", "mention")
_CATEGORIES: Final = ("marketing", "billing")
_CHANNELS: Final = (("in_app",), ("in_app",), ("in_app", "email"), ("push", "in_app", "push"))
_SETS: Final = ("default", "default", "acme")


def make_jobs(chance: Random, *, number: int, now: int, prefix: str) -> list[Job]:
    """Make up so many jobs, each distinct, none stamped after `now` (microseconds since 1970)."""
    author = _Author(chance, number, now, prefix)
    return [author.job() for _ in range(number)]


class _Author:
    def __init__(self, chance: Random, number: int, now: int, prefix: str) -> None:
        self._chance = chance
        self._now = now
        self._prefix = prefix
        self._made = 0
        self._circles = number // _JOBS_A_CIRCLE + 2
        self._busy = number // _JOBS_A_BUSY_CIRCLE + 2
        self._moments: dict[int, list[int]] = {}
        self._sent: dict[int, list[str]] = {}
        self._circle = 0
        self._makers: dict[Callable[[], dict[str, Any]], int] = {
            self._identify: 28,
            self._bulk_identify: 5,
            self._merge: 11,
            self._delete: 7,
            self._bulk_delete: 2,
            self._trigger: 20,
            self._mark: 6,
            self._set_preferences: 7,
            self._unset_preferences: 3,
            self._bulk_set_preferences: 3,
            self._set_channel_data: 5,
            self._unset_channel_data: 3,
        }

    def job(self) -> Job:
        chance = self._chance
        self._circle = chance.randrange(self._busy if chance.random() < _BUSY else self._circles)
        (maker,) = chance.choices([*self._makers], [*self._makers.values()])
        body = {"id": f"{self._prefix}-{self._made:06}", "occurred_at": self._moment(), **maker()}
        self._made += 1
        return MODELS[maker.__name__.removeprefix("_")].model_validate(body)

    # kinds, each under its name

    def _identify(self) -> dict[str, Any]:
        return {"user": self._telling(self._user())}

    def _bulk_identify(self) -> dict[str, Any]:
        return {"users": [self._telling(user) for user in self._users(12)]}

    def _merge(self) -> dict[str, Any]:
        primary, secondary = map(self._member, self._chance.sample(range(CIRCLE), 2))
        if self._chance.random() < _OUTSIDE and (stranger := self._stranger()) != secondary:
            primary = stranger
        return {
            "primary_id": primary,
            "secondary_id": secondary,
            "keep_opt_outs": self._chance.random() < 0.3,
            "merge_tokens": self._chance.random() < 0.3,
        }

    def _delete(self) -> dict[str, Any]:
        return {"user_id": self._user()}

    def _bulk_delete(self) -> dict[str, Any]:
        return {"user_ids": self._users(4)}

    def _trigger(self) -> dict[str, Any]:
        chance = self._chance
        recipients: list[Any] = [self._user() for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.3:
            recipients.append(self._telling(self._user()))
        channels = chance.choice(_CHANNELS)
        job_id = f"{self._prefix}-{self._made:06}"
        named = [who if isinstance(who, str) else who["id"] for who in recipients]
        self._sent.setdefault(self._circle, []).extend(
            str(message_id(job_id, user, channel)) for user in named for channel in channels
        )
        return {
            "workflow": chance.choice(_WORKFLOWS),
            "recipients": recipients,
            "actor": chance.choice((None, self._user(), self._user(), self._telling(self._user()))),
            "data": {"number": chance.randint(1, 1000)},
            "tenant": chance.choice((None, "acme")),
            "categories": chance.sample(_CATEGORIES, chance.randint(0, 2)),
            "channels": channels,
        }

    def _mark(self) -> dict[str, Any]:
        sent = self._sent.get(self._circle) or [str(message_id("never", "nobody", "in_app"))]
        return {
            "message_ids": self._chance.choices(sent[-20:], k=self._chance.randint(1, 4)),
            "engagement": self._chance.choice(_MARKED),
        }

    def _set_preferences(self) -> dict[str, Any]:
        return {
            "user_id": self._user(),
            "set_id": self._chance.choice(_SETS),
            "settings": preference_set(self._chance),
        }

    def _unset_preferences(self) -> dict[str, Any]:
        return {"user_id": self._user(), "set_id": self._chance.choice(_SETS)}

    def _bulk_set_preferences(self) -> dict[str, Any]:
        return {"user_ids": self._users(6), "set_id": "default", "settings": preference_set(self._chance)}

    def _set_channel_data(self) -> dict[str, Any]:
        return {
            "user_id": self._user(),
            "channel_id": self._chance.choice(("apns", "fcm")),
            "data": push_tokens(self._chance),
        }

    def _unset_channel_data(self) -> dict[str, Any]:
        return {"user_id": self._user(), "channel_id": self._chance.choice(("apns", "fcm"))}

    # whom, what and when

    def _user(self) -> str:
        return self._member(self._chance.randrange(CIRCLE))

    def _member(self, number: int) -> str:
        return f"u{self._circle:05}{'abcde'[number]}"

    def _stranger(self) -> str:
        return f"u{self._chance.randrange(self._circles):05}{self._chance.choice('abcde')}"

    def _users(self, most: int) -> list[str]:
        """Of several circles: a batch of these locks many families at once."""
        some = [self._user(), *(self._stranger() for _ in range(self._chance.randrange(most)))]
        return list(dict.fromkeys(some))

    def _telling(self, user_id: str) -> dict[str, Any]:
        chance = self._chance
        traits = full_traits(chance, user_id) if chance.random() < 0.3 else some_traits(chance)
        user_update: dict[str, Any] = {"id": user_id, "traits": traits}
        match chance.randrange(8):
            case 0:
                user_update["preferences"] = {"default": preference_set(chance)}
            case 1:
                user_update["channel_data"] = {"apns": push_tokens(chance)}
            case _:
                pass
        return user_update

    def _moment(self) -> int:
        chance = self._chance
        timestamps = self._moments.setdefault(self._circle, [])
        if timestamps and chance.random() < 0.4:
            before = chance.choice((0, 0, HISTORY)) + chance.choice((-1, 0, 0, 1))
            return max(self._now - 2 * SPAN, min(self._now, chance.choice(timestamps) - before))
        moment = self._now - chance.randrange(SPAN)
        if len(timestamps) < 6:
            timestamps.append(moment)
        return moment
