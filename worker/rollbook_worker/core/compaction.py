"""What may be forgotten for good: everything told of a person whose delete has settled.

A delete has settled when it lies before the horizon, and nothing stamped before the horizon is expected to arrive any
more. It ended a person known by some ids. Whatever was told under those ids before it went to that person, to one who
became a part of it, or to one deleted earlier still; in every case to somebody who is gone. So those facts, and the
endings that name those ids, say nothing any more about who is seen (a law: `default` of what is left shows the same
people and redirects). Deletes that took no effect, for their id was merged away, take none later either once they
have settled, and are forgotten as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core.facts import Ended, Fact, Seen, Told
from rollbook_worker.core.projection import project


@dataclass(frozen=True, slots=True)
class Settlement:
    """`kept` is what still matters; `until` says, for each id of a person who is gone, the delete before which all
    is void.
    """

    kept: list[Fact]
    until: Mapping[str, Stamp]


def settle(facts: Collection[Fact], history: int, horizon: Stamp) -> Settlement:
    """Leave out what deletes before the horizon made void. `history` as in `default`."""
    effective = project(facts, history).deletes
    until: dict[str, Stamp] = {}
    for stamp, names in sorted(effective.items()):
        if stamp < horizon:
            until.update(dict.fromkeys(names, stamp))

    def matters(fact: Fact) -> bool:
        match fact:
            case Seen(stamp, user) | Told(stamp, user):
                return stamp > until.get(user, "")
            case Ended(stamp, user, None) if stamp < horizon and stamp not in effective:
                return False
            case Ended(stamp, user, primary_id):
                return all(stamp > until.get(name, "") for name in (user, primary_id) if name is not None)
            case _:
                return True

    return Settlement([fact for fact in facts if matters(fact)], until)
