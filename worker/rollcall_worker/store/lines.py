"""Facts as the lines that the statements take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rollcall_shared.stamps import Stamp
from rollcall_worker.fold import Activity, Ended, Fact, Marked, Message, Seen, Told, Triggered

Line = dict[str, Any]


@dataclass(slots=True)
class Lines:
    """What one transaction writes, table by table."""

    users: list[Line] = field(default_factory=list)
    """In id order: told users, and those that endings name."""
    seen: dict[str, list[Stamp]] = field(default_factory=dict)
    """When each told user was told of, in stamp order."""
    choices: list[Line] = field(default_factory=list)
    """Every preference set told, not the newest only."""
    endings: list[Line] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    """Every id that an ending names."""
    triggers: list[Line] = field(default_factory=list)
    activities: list[Line] = field(default_factory=list)
    messages: list[Line] = field(default_factory=list)
    marks: list[Line] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [user["id"] for user in self.users]


def lines_of(facts: Iterable[Fact]) -> Lines:
    """Sort facts, the newest of each slot, into lines."""
    lines = Lines()
    told: dict[str, dict[str, tuple[Any, Stamp]]] = {}
    for fact in facts:
        match fact:
            case Told(stamp, user, key, value):
                keys = told.setdefault(user, {})
                if key not in keys or keys[key][1] < stamp:
                    keys[key] = (value, stamp)
                if key[0] == "s":
                    choice = {"user_id": user, "set_id": key[2:], "stamp": stamp, "settings": value}
                    lines.choices.append(choice)
            case Seen(stamp, user):
                lines.seen.setdefault(user, []).append(stamp)
            case Ended(user=user, heir=heir):
                line = fact._asdict()
                lines.endings.append({"ended": line.pop("user"), **line})
                lines.ended.update((user,) if heir is None else (user, heir))
            case Triggered():
                lines.triggers.append(fact._asdict())
            case Activity():
                lines.activities.append(fact._asdict() | {"id": str(fact.id)})
            case Message():
                lines.messages.append(fact._asdict() | {"id": str(fact.id)})
            case Marked():
                lines.marks.append(fact._asdict() | {"message_id": str(fact.message_id), "is_set": int(fact.is_set)})
    for stamps in lines.seen.values():
        stamps.sort()
    lines.users = [
        _user(user, told.get(user, {}), lines.seen.get(user, []))
        for user in sorted(told.keys() | lines.seen.keys() | lines.ended)
    ]
    return lines


def _user(user: str, told: dict[str, tuple[Any, Stamp]], seen: list[Stamp]) -> Line:
    since = min((stamp for _, stamp in told.values()), default=None)
    return {
        "id": user,
        "data": {key: value for key, (value, _) in told.items()},
        "since": since,
        "stamps": {key: stamp for key, (_, stamp) in told.items() if stamp != since},
        "first": seen[0] if seen else None,
        "last": max((*(stamp for _, stamp in told.values()), *seen[-1:]), default=None),
    }
