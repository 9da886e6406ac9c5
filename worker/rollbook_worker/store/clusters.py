"""Refolds families: reads what was told under their ids, and writes how they are seen and who owns their history."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Cursor

from rollbook_shared.domain.stamps import Stamp
from rollbook_worker.core import Choice, Ended, Fact, Projection, Seen, Span, Told, families, project
from rollbook_worker.store.rows import as_json
from rollbook_worker.store.statements import load

_USERS: Final = load("users")
_SIGHTINGS: Final = load("sightings")
_ENDINGS: Final = load("endings")
_SPANS: Final = load("spans")
_CHOICES: Final = load("choices")


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of the members of some families."""

    heads: set[str]
    ids: list[str]
    told: list[Fact]
    endings: list[Ended]


def family_of(cursor: Cursor, heads: Collection[str], joining: Collection[str]) -> Family:
    """Read the facts of the families of `heads`, with the ids `joining` them."""
    cursor.execute(_USERS["members"], {"heads": sorted(heads), "ids": sorted(joining)})
    family = Family(set(), [], [], [])
    for id_, of, data, since, stamps, first, seen in cursor:
        family.ids.append(id_)
        if of is not None:
            family.heads.add(of)
        if first is not None:
            family.told.extend(Seen(Stamp(stamp), id_) for stamp in (first, *seen.split()))
        family.told.extend(
            # preference sets are all among the choices
            Told(Stamp(stamps.get(key, since)), id_, key, value)
            for key, value in data.items()
            if key[0] != "s"
        )
    cursor.execute(_SIGHTINGS["sightings_of"], {"ids": family.ids})
    family.told.extend(Seen(Stamp(stamp), id_) for id_, seen in cursor for stamp in seen.split())
    cursor.execute(_CHOICES["choices_of"], {"ids": family.ids})
    family.told.extend(Told(Stamp(stamp), id_, f"s.{set_id}", settings) for id_, set_id, stamp, settings in cursor)
    cursor.execute(_ENDINGS["endings_of"], {"ids": family.ids})
    family.endings.extend(Ended(Stamp(stamp), *ending) for stamp, *ending in cursor)
    return family


def refold(cursor: Cursor, heads: Collection[str], joining: Collection[str], *, history: int) -> None:
    """Show anew the families of `heads`, with the ids `joining` them. The caller holds the heads and has written
    all facts.
    """
    family = family_of(cursor, heads, joining)
    named = families(family.ids, family.endings)
    alone = set(family.ids) - {name for ending in family.endings for name in (ending.user, ending.primary_id)}
    seen_as = project([*family.told, *family.endings], history)
    members = [_plain(id_) if id_ in alone else _member(id_, named[id_], seen_as) for id_ in family.ids]
    cursor.execute(_USERS["show"], {"members": as_json(members)})
    _own(cursor, family.ids, {id_: spans for id_, spans in seen_as.spans.items() if id_ not in alone})
    _choose(cursor, family.ids, {id_: made for id_, made in seen_as.choices.items() if id_ not in alone})


def _plain(id_: str) -> dict[str, Any]:
    """An id that no merge or delete names any more, for erasure has forgotten them."""
    return {"id": id_, "family": None, "shown": None, "shown_at": None, "goes_to": None}


def _member(id_: str, family: str, seen_as: Projection) -> dict[str, Any]:
    person = seen_as.people.get(id_)
    return {
        "id": id_,
        "family": family,
        "shown": person.data if person else None,
        "shown_at": person.updated if person else None,
        "goes_to": seen_as.goes_to.get(id_),
    }


def _own(cursor: Cursor, ids: list[str], owned: Mapping[str, tuple[Span, ...]]) -> None:
    """Write the spans that changed; most writes to a family change none."""
    cursor.execute(_SPANS["spans_of"], {"names": ids})
    written: dict[str, set[Span]] = {}
    for name, since, until, owner, known in cursor:
        written.setdefault(name, set()).add(Span(since, until, owner, known))
    changed = [name for name in ids if written.get(name, set()) != set(owned.get(name, ()))]
    if changed:
        spans = [{"name": name, **span._asdict()} for name in changed for span in owned.get(name, ())]
        cursor.execute(_SPANS["forget_spans"], {"names": changed})
        cursor.execute(_SPANS["span"], {"spans": as_json(spans)})


def _choose(cursor: Cursor, ids: list[str], made: Mapping[str, tuple[Choice, ...]]) -> None:
    """Write the choices that changed, likewise."""
    cursor.execute(_CHOICES["family_choices_of"], {"names": ids})
    written: dict[str, list[Choice]] = {}
    for name, since, set_id, settings in cursor:
        written.setdefault(name, []).append(Choice(since, set_id, settings))
    changed = [
        name for name in ids if sorted(written.get(name, []), key=_place) != sorted(made.get(name, ()), key=_place)
    ]
    if changed:
        choices = [{"name": name, **choice._asdict()} for name in changed for choice in made.get(name, ())]
        cursor.execute(_CHOICES["forget_family_choices"], {"names": changed})
        cursor.execute(_CHOICES["choose_in_family"], {"choices": as_json(choices)})


def _place(choice: Choice) -> tuple[str, str]:
    return choice.since, choice.set_id
