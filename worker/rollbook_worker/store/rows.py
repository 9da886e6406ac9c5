"""Facts as the lines that the statements take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rollbook_shared.domain.stamps import Stamp
from rollbook_shared.jobs.json_text import encode_json
from rollbook_worker.core import Activity, Ended, Fact, Identified, Kept, Marked, Message, Seen, Told, Triggered, join

Line = dict[str, Any]
_AboutUser = Identified | Seen | Told


@dataclass(slots=True)
class Lines:
    """What one transaction writes, table by table."""

    users: list[Line] = field(default_factory=list)
    """In id order: told users, and those that endings name."""
    preference_sets: list[Line] = field(default_factory=list)
    """Every preference set told, not the newest only."""
    lifecycle_events: list[Line] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    """Every id that an ending names."""
    triggers: list[Line] = field(default_factory=list)
    activities: list[Line] = field(default_factory=list)
    messages: list[Line] = field(default_factory=list)
    engagements: list[Line] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [user["id"] for user in self.users]


def lines_of(facts: Iterable[Fact | Identified]) -> Lines:
    """Sort facts into lines; where several fill one slot, the newest does."""
    lines = Lines()
    told: dict[str, list[_AboutUser]] = {}
    others: Kept = {}
    for fact in facts:
        if isinstance(fact, _AboutUser):
            told.setdefault(fact.user, []).append(fact)
        else:
            join(others, [fact])
        if isinstance(fact, Told) and fact.key[0] == "s":
            lines.preference_sets.append(
                {"user_id": fact.user, "set_id": fact.key[2:], "stamp": fact.stamp, "settings": fact.value}
            )
    for fact in others.values():
        match fact:
            case Ended(user=user, primary_id=primary_id):
                line = fact._asdict()
                lines.lifecycle_events.append({"user_id": line.pop("user"), **line})
                lines.ended.update((user,) if primary_id is None else (user, primary_id))
            case Triggered():
                lines.triggers.append(fact._asdict())
            case Activity():
                lines.activities.append(fact._asdict() | {"id": str(fact.id)})
            case Message():
                lines.messages.append(fact._asdict() | {"id": str(fact.id)})
            case Marked():
                lines.engagements.append(fact._asdict() | {"message_id": str(fact.message_id)})
    lines.users = [_user(user, told.get(user, ())) for user in sorted(told.keys() | lines.ended)]
    return lines


def as_json(lines: list[Line] | list[str]) -> str:
    """The lines, or ids, as the one parameter that their statement takes."""
    return encode_json(lines).decode()


def _user(user: str, facts: Sequence[_AboutUser]) -> Line:
    if len(facts) == 1 and isinstance(facts[0], Identified):  # nearly all are told once
        stamp = facts[0].stamp
        return _line(user, facts[0].data, stamp, {}, [stamp], stamp)
    told: dict[str, Told] = {}
    seen: set[Stamp] = set()
    for fact in facts:
        for part in fact.facts() if isinstance(fact, Identified) else (fact,):
            if isinstance(part, Seen):
                seen.add(part.stamp)
            elif part.key not in told or told[part.key].stamp < part.stamp:
                told[part.key] = part
    since = min((fact.stamp for fact in told.values()), default=None)
    last = max((*seen, *(fact.stamp for fact in told.values())), default=None)
    stamps = {key: fact.stamp for key, fact in told.items() if fact.stamp != since}
    return _line(user, {key: fact.value for key, fact in told.items()}, since, stamps, sorted(seen), last)


def _line(
    user: str, data: Line, since: Stamp | None, stamps: dict[str, Stamp], seen: list[Stamp], last: Stamp | None
) -> Line:
    return {
        "id": user,
        "profile": data,
        "base_stamp": since,
        "key_stamps": stamps,
        "first_identified": seen[0] if seen else None,
        "last_stamp": last,
        "identify_stamps": "".join(f"{stamp} " for stamp in seen[1:]),
    }
