"""What a reader sees: a pure function of the kept facts, read in stamp order."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

from rollbook_shared.domain.merge import merge_profiles
from rollbook_shared.domain.sections import data_of, profile_of
from rollbook_shared.domain.stamps import Stamp, occurred_at_of, stamp_floor
from rollbook_shared.reference.preferences import settings_for
from rollbook_worker.core.facts import Ended, Fact, Seen, Told

FOREVER: Final = Stamp("~")
"""After every stamp."""


@dataclass(slots=True)
class Person:
    """One person: flat data by stored key, and the stamp of the newest change."""

    updated: Stamp
    data: dict[str, object] = field(default_factory=dict)


class OwnershipPeriod(NamedTuple):
    """From `valid_from` to before `valid_to`, what is addressed to an id belongs to `owner` (None: no user).

    `existed` says whether the id stood for a user then, whatever happened to that user later: only those get messages.
    """

    valid_from: Stamp
    valid_to: Stamp
    owner: str | None
    existed: bool


class PreferenceSetVersion(NamedTuple):
    """From `valid_from` on, until the next version of this set, `settings` apply (None: the set was removed)."""

    valid_from: Stamp
    set_id: str
    settings: Any


class _Change(NamedTuple):
    """From `since` on, until the next change."""

    since: Stamp
    owner: str | None
    known: bool


@dataclass(frozen=True, slots=True)
class Projection:
    """The people; what each merged-away id stands for; and, per id, who owns what was addressed to it, and when.

    `deletes` are those that took effect, each with all ids that stood for the user then; a delete of a merged-away id
    takes none.
    """

    people: Mapping[str, Person]
    goes_to: Mapping[str, str]
    spans: Mapping[str, tuple[OwnershipPeriod, ...]]
    deletes: Mapping[Stamp, tuple[str, ...]]
    choices: Mapping[str, tuple[PreferenceSetVersion, ...]]
    """Per id, the preferences of whoever it stood for, as they changed."""

    def wanted(self, name: str, at: Stamp, *, tenant: str | None) -> Mapping[str, Any]:
        """The settings that apply to what is addressed to `name` at that stamp."""
        sets = {choice.set_id: choice.settings for choice in self.choices.get(name, ()) if choice.valid_from <= at}
        return settings_for(sets, tenant)

    def owner(self, name: str, at: Stamp) -> str | None:
        """Who owns what was addressed to `name` at that stamp: nobody, if the name stood for no known person then,
        or it ended since.
        """
        span = self._span(name, at)
        return span.owner if span else None

    def knew(self, name: str, at: Stamp) -> bool:
        """Whether `name` stood for somebody at that stamp, whatever became of them later."""
        span = self._span(name, at)
        return span is not None and span.existed

    def _span(self, name: str, at: Stamp) -> OwnershipPeriod | None:
        spans = self.spans.get(name, ())
        place = bisect(spans, at, key=lambda span: span.valid_from)
        return spans[place - 1] if place else None


def project(facts: Iterable[Fact], history: int) -> Projection:
    """Read the facts in stamp order; `history` is how much of it a merge carries over, in microseconds.

    Facts about triggers, activities and messages say nothing of people, and are passed over: who owns such a row is
    asked of `Projection.owner`.
    """
    user_update = _Telling(history)
    told = [fact for fact in facts if isinstance(fact, (Seen, Told, Ended))]
    # of one stamp, the sighting comes first: it makes the person whom the keys are told of
    for fact in sorted(told, key=lambda fact: (fact.stamp, not isinstance(fact, Seen))):
        match fact:
            case Seen():
                user_update.see(fact.user, fact.stamp)
            case Told():
                user_update.tell(fact)
            case Ended(primary_id=None):
                user_update.delete(fact)
            case Ended():
                user_update.merge(fact)
    return user_update.finish()


class _Telling:
    """The people while their facts are told."""

    def __init__(self, history: int) -> None:
        self._history = history
        self._people: dict[str, Person] = {}
        self._goes_to: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}
        """Person to the ids that stand for it, where those are more than its own."""
        self._owners: dict[str, list[_Change]] = {}
        """Id to the changes of who owns what is addressed to it."""
        self._deletes: dict[Stamp, tuple[str, ...]] = {}
        self._choices: dict[str, list[PreferenceSetVersion]] = {}

    def see(self, user: str, at: Stamp) -> None:
        id_ = self._goes_to.get(user, user)
        if person := self._people.get(id_):
            person.updated = at
            return
        self._people[id_] = Person(at)
        for name in self._names.get(id_, [id_]):
            self._owners.setdefault(name, []).append(_Change(at, id_, True))

    def tell(self, fact: Told) -> None:
        person = self._people.get(self._goes_to.get(fact.user, fact.user))
        if person is None:
            return  # a key is taken away from nobody
        person.updated = fact.stamp
        if fact.value is None and fact.key[0] in "sc":
            person.data.pop(fact.key, None)
        else:
            person.data[fact.key] = fact.value
        if fact.key[0] == "s":
            id_ = self._goes_to.get(fact.user, fact.user)
            self._choose(self._names.get(id_, [id_]), fact.stamp, {fact.key[2:]: fact.value})

    def delete(self, fact: Ended) -> None:
        if fact.user in self._goes_to:
            return  # writes follow a merged-away id, endings do not
        gone = self._people.pop(fact.user, None)
        names = self._names.pop(fact.user, [fact.user])
        self._choose(names, fact.stamp, dict.fromkeys(_sets(gone)))
        self._deletes[fact.stamp] = tuple(names)
        for name in names:
            self._goes_to.pop(name, None)
            owners = self._owners.setdefault(name, [])
            owners[:] = [change._replace(owner=None) if change.owner == fact.user else change for change in owners]
            owners.append(_Change(fact.stamp, None, False))

    def merge(self, fact: Ended) -> None:
        assert fact.primary_id is not None
        primary_id = self._goes_to.get(fact.primary_id, fact.primary_id)
        if fact.user in self._goes_to or primary_id == fact.user:
            return
        gone = self._people.pop(fact.user, None)
        names = self._names.pop(fact.user, [fact.user])
        kept_from = stamp_floor(occurred_at_of(fact.stamp) - self._history)
        for name in names:
            self._owners[name] = _carried(self._owners.get(name, []), fact.user, primary_id, kept_from, fact.stamp)
            self._goes_to[name] = primary_id
        if gone:
            self.see(primary_id, fact.stamp)
            primary = self._people[primary_id]
            before = _sets(primary)
            primary.data = data_of(
                merge_profiles(
                    profile_of(primary.data),
                    profile_of(gone.data),
                    keep_opt_outs=fact.keep_opt_outs,
                    merge_tokens=fact.merge_tokens,
                )
            )
            changed = {set_id: value for set_id, value in _sets(primary).items() if before.get(set_id) != value}
            self._choose(self._names.get(primary_id, [primary_id]), fact.stamp, changed)
        self._choose(names, fact.stamp, dict.fromkeys(_sets(gone)) | _sets(self._people.get(primary_id)))
        self._names.setdefault(primary_id, [primary_id]).extend(names)
        for name in names:
            known = primary_id in self._people
            self._owners[name].append(_Change(fact.stamp, primary_id if known else None, known))

    def finish(self) -> Projection:
        nobody = _Change(FOREVER, None, False)
        spans = {
            name: tuple(
                OwnershipPeriod(change.since, after.since, change.owner, change.known)
                for change, after in pairwise([*changes, nobody])
                if change.since < after.since
            )
            for name, changes in self._owners.items()
        }
        choices = {name: tuple(choices) for name, choices in self._choices.items()}
        return Projection(self._people, self._goes_to, spans, self._deletes, choices)

    def _choose(self, names: Iterable[str], at: Stamp, sets: Mapping[str, Any]) -> None:
        for name in names if sets else ():
            self._choices.setdefault(name, []).extend(PreferenceSetVersion(at, *chosen) for chosen in sets.items())


def _sets(person: Person | None) -> dict[str, Any]:
    """The preference sets of a person."""
    return {key[2:]: value for key, value in person.data.items() if key[0] == "s"} if person else {}


def _carried(changes: list[_Change], gone: str, primary_id: str, kept_from: Stamp, until: Stamp) -> list[_Change]:
    """Ownership after the merge at `until`: the primary owns the secondary's history from `kept_from` on."""
    carried: list[_Change] = []
    for change, after in pairwise([*changes, _Change(until, None, False)]):
        if change.owner != gone:
            carried.append(change)
            continue
        if change.since < kept_from:
            carried.append(change._replace(owner=None))
        if after.since > kept_from:
            carried.append(change._replace(since=max(change.since, kept_from), owner=primary_id))
    return carried
