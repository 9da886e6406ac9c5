"""Generates conflicting jobs of every kind: a pure function of a random generator and of the time.

Users form small circles, and almost all jobs stay within one: merges in all directions, deletes, ids that are used
again. A few circles are busy. Each circle has few timestamps; some are exactly 30 days (a merge's history) before
another one, or a microsecond off, so that ties and boundary cases are common.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, Final

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.models import MODELS, Job
from rollbook_shared.reference.traits import full_traits, preference_changes, preference_set, push_tokens, some_traits

_MICROSECOND: Final = timedelta(microseconds=1)
PERIOD: Final = timedelta(days=45) // _MICROSECOND
HISTORY: Final = timedelta(days=30) // _MICROSECOND
CIRCLE: Final = 5
"""Users in a circle. They may become one identity cluster, and each write to it costs more the larger it is."""
_JOBS_A_CIRCLE: Final = 25
_JOBS_A_BUSY_CIRCLE: Final = 800
_BUSY_SHARE: Final = 0.2
_OUTSIDER_SHARE: Final = 0.01
_ENGAGEMENTS: Final = ("seen", "unseen", "read", "unread", "interacted", "archived", "unarchived")
_WORKFLOWS: Final = ("new-comment", "invoice-paid", "mention")
_CATEGORIES: Final = ("marketing", "billing")
_CHANNELS: Final = (("in_app",), ("in_app", "email"), ("email", "push"), ("push", "in_app", "push"))
_SETS: Final = ("default", "default", "acme")


def make_jobs(rng: Random, *, number: int, now: int, prefix: str) -> list[Job]:
    """Generate distinct jobs, none later than `now` (microseconds since 1970)."""
    author = _JobGenerator(rng, number, now, prefix)
    return [author.job() for _ in range(number)]


def make_late_triggers(rng: Random, *, number: int, before: int) -> list[Job]:
    """Generate triggers from before a time, with users who are identified in them."""
    author = _JobGenerator(rng, number, before, "late")
    return [author.trigger() for _ in range(number)]


class _JobGenerator:
    def __init__(self, rng: Random, number: int, now: int, prefix: str) -> None:
        self._chance = rng
        self._now = now
        self._prefix = prefix
        self._made = 0
        self._circles = number // _JOBS_A_CIRCLE + 2
        self._busy = number // _JOBS_A_BUSY_CIRCLE + 2
        self._timestamps: dict[int, list[int]] = {}
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
            self._mark_all: 4,
            self._set_preferences: 7,
            self._update_preferences: 7,
            self._unset_preferences: 3,
            self._bulk_set_preferences: 3,
            self._set_channel_data: 5,
            self._unset_channel_data: 3,
            self._add_push_token: 6,
            self._remove_push_token: 3,
        }

    def job(self) -> Job:
        rng = self._chance
        self._circle = rng.randrange(self._busy if rng.random() < _BUSY_SHARE else self._circles)
        (maker,) = rng.choices([*self._makers], [*self._makers.values()])
        return self._made_by(maker)

    def trigger(self) -> Job:
        self._circle = self._chance.randrange(self._circles)
        return self._made_by(self._trigger)

    def _made_by(self, maker: Callable[[], dict[str, Any]]) -> Job:
        body = {"id": f"{self._prefix}-{self._made:06}", "occurred_at": self._timestamp(), **maker()}
        self._made += 1
        return MODELS[maker.__name__.removeprefix("_")].model_validate(body)

    # a method for each kind, named after it

    def _identify(self) -> dict[str, Any]:
        return {"user": self._user_update(self._user())}

    def _bulk_identify(self) -> dict[str, Any]:
        return {"users": [self._user_update(user) for user in self._users(12)]}

    def _merge(self) -> dict[str, Any]:
        primary, secondary = map(self._member, self._chance.sample(range(CIRCLE), 2))
        if self._chance.random() < _OUTSIDER_SHARE and (outsider := self._outsider()) != secondary:
            primary = outsider
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
        rng = self._chance
        recipients: list[Any] = [self._user() for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            recipients.append(self._user_update(self._user()))
        channels = rng.choice(_CHANNELS)
        job_id = f"{self._prefix}-{self._made:06}"
        named = [user if isinstance(user, str) else user["id"] for user in recipients]
        self._sent.setdefault(self._circle, []).extend(
            str(message_id(job_id, user, channel)) for user in named for channel in channels
        )
        return {
            "workflow": rng.choice(_WORKFLOWS),
            "recipients": recipients,
            "actor": rng.choice((None, self._user(), self._user(), self._user_update(self._user()))),
            "data": {"number": rng.randint(1, 1000)},
            "tenant": rng.choice((None, "acme")),
            "categories": rng.sample(_CATEGORIES, rng.randint(0, 2)),
            "channels": channels,
        }

    def _mark(self) -> dict[str, Any]:
        sent = self._sent.get(self._circle) or [str(message_id("never", "sent", "in_app"))]
        return {
            "message_ids": self._chance.choices(sent[-20:], k=self._chance.randint(1, 4)),
            "engagement": self._chance.choice(_ENGAGEMENTS),
            "user_id": self._chance.choice((None, self._user(), self._user())),
        }

    def _mark_all(self) -> dict[str, Any]:
        return {
            "user_id": self._user(),
            "channel": self._chance.choice(self._chance.choice(_CHANNELS)),
            "engagement": self._chance.choice(_ENGAGEMENTS),
        }

    def _set_preferences(self) -> dict[str, Any]:
        return {
            "user_id": self._user(),
            "set_id": self._chance.choice(_SETS),
            "settings": preference_set(self._chance),
        }

    def _update_preferences(self) -> dict[str, Any]:
        return {
            "user_id": self._user(),
            "set_id": self._chance.choice(_SETS),
            "changes": preference_changes(self._chance),
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

    def _add_push_token(self) -> dict[str, Any]:
        return {**self._remove_push_token(), "device": self._chance.choice((None, {"locale": "de"}))}

    def _remove_push_token(self) -> dict[str, Any]:
        channel = self._chance.choice(("apns", "fcm"))
        return {"user_id": self._user(), "channel_id": channel, "token": self._chance.choice("xyz")}

    # users, values and times

    def _user(self) -> str:
        return self._member(self._chance.randrange(CIRCLE))

    def _member(self, number: int) -> str:
        return f"u{self._circle:05}{'abcde'[number]}"

    def _outsider(self) -> str:
        return f"u{self._chance.randrange(self._circles):05}{self._chance.choice('abcde')}"

    def _users(self, most: int) -> list[str]:
        """Users of several circles: a batch of these locks many identity clusters at once."""
        some = [self._user(), *(self._outsider() for _ in range(self._chance.randrange(most)))]
        return list(dict.fromkeys(some))

    def _user_update(self, user_id: str) -> dict[str, Any]:
        rng = self._chance
        traits = full_traits(rng, user_id) if rng.random() < 0.3 else some_traits(rng)
        user_update: dict[str, Any] = {"id": user_id, "traits": traits}
        match rng.randrange(8):
            case 0:
                user_update["preferences"] = {"default": preference_set(rng)}
            case 1:
                user_update["channel_data"] = {"apns": push_tokens(rng)}
            case _:
                pass
        return user_update

    def _timestamp(self) -> int:
        rng = self._chance
        timestamps = self._timestamps.setdefault(self._circle, [])
        if timestamps and rng.random() < 0.4:
            before = rng.choice((0, 0, HISTORY)) + rng.choice((-1, 0, 0, 1))
            return max(self._now - 2 * PERIOD, min(self._now, rng.choice(timestamps) - before))
        timestamp = self._now - rng.randrange(PERIOD)
        if len(timestamps) < 6:
            timestamps.append(timestamp)
        return timestamp
