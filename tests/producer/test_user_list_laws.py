"""Lists of users of generated histories are what plain Python makes of the reference's users (rule 35)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tests.support.builders import NOW, delete, identify, merge
from tests.support.example_counts import examples
from tests.support.stores import OnPostgres, arrive

from rollbook import InvalidRequest, NotConfigured, Page, Rollbook, User
from rollbook.queries import UserSort, user_list
from rollbook_shared.jobs.codec import encode
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import WorldUser
from rollbook_worker.migrations.optional_indexes import OPTIONAL_INDEXES, create_index

IDS: Final = ("a", "A", "an", "ann", "Ann-2", "b", "é", "\U0001f600", "z!", "~")
EMAILS: Final = (
    "ann@example.com",
    "Ann@Example.com",
    "bo@example.com",
    "Émile@example.com",
    "x" * 250 + "@example.com",
)
NAMES: Final = ("", "Ann", "ann", "ANNA", "Émile", "émile", "Ωmega", "Жанна", "жанна", "İ", "bo" * 150, "BO" * 150)
CREATED: Final = (
    "2026-01-31T09:30:00Z",
    "2026-01-31t10:30:00+01:00",
    "2026-01-31 09:30:00.0000019z",
    "2026-01-31T09:30:00.000001-00:00",
    "2025-06-01T00:00:00+23:59",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59." + "9" * 43 + "Z",
)
PREFIXES: Final = (None, "a", "A", "an", "ann@", "É", "é", "ж", "bo", "x" * 200, "~", "\U0001f600", "%", "i")
WHERE: Final[tuple[Mapping[str, Any], ...]] = (
    {},
    {"email": "ANN@example.com"},
    {"email": "émile@example.com"},
    {"email": "X" * 250 + "@example.com"},
    {"email": None},
    {"phone_number": "+14155550100"},
    {"name": "Ann"},
    {"name": "BO" * 150},
    {"name": None, "plan": "pro"},
    {"plan": "pro"},
    {"plan": None},
    {"email": "bo@example.com", "plan": "pro"},
    {"created_at": CREATED[0]},
)

_traits: Final = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from([None, *EMAILS]),
        "name": st.sampled_from([None, *NAMES]),
        "phone_number": st.sampled_from([None, "+14155550100", "+14155550101"]),
        "created_at": st.sampled_from([None, *CREATED]),
        "plan": st.sampled_from([None, "pro", "free"]),
    },
)


@st.composite
def histories(draw: DrawFn) -> list[Job]:
    jobs: list[Job] = [
        identify(id_, at=draw(st.integers(0, 5)), job=f"identify-{number}", **draw(_traits))  # type: ignore[arg-type]
        for number, id_ in enumerate(draw(st.lists(st.sampled_from(IDS), max_size=16)))
    ]
    for number in range(draw(st.integers(0, 3))):
        one, other = draw(st.permutations(IDS))[:2]
        at = draw(st.integers(0, 6))
        jobs.append(delete(one, at=at, job=f"delete-{number}"))
        jobs.append(merge(one, other, at=draw(st.integers(0, 6)), job=f"merge-{number}"))
    return jobs


def small(text: str) -> str:
    """Without regard to case, as far as it is one for one; the capital I with a dot is none of its scripts."""
    return "".join(character.lower() if len(character.lower()) == 1 else character for character in text)


def ascii_small(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)


def matches(id_: str, user: WorldUser, where: Mapping[str, Any]) -> bool:
    for name, value in where.items():
        if name == "plan":
            if "plan" not in user["properties"] or user["properties"]["plan"] != value:
                return False
        else:
            kept = user["attributes"].get(name)
            fold = ascii_small if name == "email" else str
            if (kept is None) != (value is None) or (kept is not None and fold(kept) != fold(value)):
                return False
    return True


def rank(id_: str, user: WorldUser, prefix: str) -> int | None:
    """By what the user has the prefix: 0 the id, 1 the e-mail address, 2 the name."""
    attributes = user["attributes"]
    if id_.startswith(prefix):
        return 0
    if attributes.get("email") is not None and ascii_small(attributes["email"]).startswith(ascii_small(prefix)):
        return 1
    if attributes.get("name") is not None and small(attributes["name"]).startswith(small(prefix)):
        return 2
    return None


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def expected(jobs: list[Job], where: Mapping[str, Any], prefix: str | None, sort: UserSort | None) -> list[str]:
    users = {
        id_: user
        for id_, user in oracle(jobs)["users"].items()
        if matches(id_, user, where) and (prefix is None or rank(id_, user, prefix) is not None)
    }
    has_equality = any(where.get(name) is not None for name in ("email", "phone_number"))

    def key(id_: str) -> Any:
        user = users[id_]
        match (sort or "").lstrip("-"):
            case "created_at":
                created = user["attributes"].get("created_at")
                return None if created is None else instant(created)
            case "updated_at":
                return user["updated"]
            case "" if prefix is not None and not has_equality:
                by = rank(id_, user, prefix)
                fields = user["attributes"]
                return by, id_ if by == 0 else ascii_small(fields["email"]) if by == 1 else small(fields["name"])[:200]
        return ""

    down = (sort or "").startswith("-")
    known = sorted((id_ for id_ in users if key(id_) is not None), key=lambda id_: (key(id_), id_), reverse=down)
    return known + sorted((id_ for id_ in users if key(id_) is None), reverse=down)


@pytest.fixture(scope="module", params=[(), tuple(OPTIONAL_INDEXES)], ids=["no optional index", "all indexes"])
def subject(new_database: Callable[[], str], request: pytest.FixtureRequest) -> Iterator[OnPostgres]:
    subject = OnPostgres(new_database())
    for name in request.param:
        create_index(subject.url, name)
    yield subject
    subject.close()


@pytest.fixture(scope="module")
def rb(subject: OnPostgres) -> Iterator[Rollbook]:
    with Rollbook(database_url=subject.url) as rb:
        yield rb


def forwards(rb: Rollbook, **asked: Any) -> list[Page[User]]:
    pages = [rb.users.list(**asked)]
    while pages[-1].after is not None:
        pages.append(rb.users.list(**asked, after=pages[-1].after))
    return pages


def backwards(rb: Rollbook, before: str | None, **asked: Any) -> list[Page[User]]:
    pages: list[Page[User]] = []
    while before is not None:
        pages.insert(0, rb.users.list(**asked, before=before))
        before = pages[0].before
    return pages


def ids(pages: list[Page[User]]) -> list[str]:
    return [user.id for page in pages for user in page.items]


class Asked(NamedTuple):
    """The arguments of a list, and the bound of a page."""

    where: Mapping[str, Any]
    prefix: str | None
    sort: UserSort | None
    limit: int
    scanned: int


asked: Final = st.builds(
    Asked,
    where=st.just({}) | st.sampled_from(WHERE),
    prefix=st.none() | st.sampled_from(PREFIXES),
    sort=st.none() | st.sampled_from(get_args(UserSort)),
    limit=st.integers(1, 4),
    scanned=st.sampled_from([1, 3, 10_000, 10_000]),
)


@examples(80)
@given(jobs=histories(), asked=st.lists(asked, min_size=8, max_size=8))
def test_rule_35_pages_in_both_directions_are_what_plain_python_makes_of_the_reference(
    jobs: list[Job], asked: list[Asked], subject: OnPostgres, rb: Rollbook
) -> None:
    subject.reset()
    arrive(subject, *map(encode, jobs), now=NOW)

    for one in asked:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(user_list, "MAX_SCANNED", one.scanned)
            check(rb, one, expected(jobs, one.where, one.prefix, one.sort))


def check(rb: Rollbook, asked: Asked, wanted: list[str]) -> None:
    which: dict[str, Any] = {"where": asked.where, "prefix": asked.prefix}
    order: dict[str, Any] = {**which, "sort": asked.sort, "limit": asked.limit}
    is_bounded = asked.scanned < 10_000
    try:
        pages = forwards(rb, **order)
        read_back = [backwards(rb, page.before, **order) for page in pages]
    except (InvalidRequest, NotConfigured):
        # too many to be sorted
        assert is_bounded
        assert asked.sort is not None or asked.prefix is not None or "phone_number" in asked.where
        return
    count = rb.users.count(**which)

    assert ids(pages) == wanted
    assert all(len(page.items) <= asked.limit for page in pages)
    for number, back in enumerate(read_back):
        assert ids(back) == ids(pages[:number])
    assert is_bounded or count.is_exact
    assert not count.is_exact or count.value == len(wanted)


@examples(60)
@given(jobs=histories(), email=st.sampled_from(EMAILS))
def test_rule_35_find_gives_all_who_have_an_address(
    jobs: list[Job], email: str, subject: OnPostgres, rb: Rollbook
) -> None:
    subject.reset()
    arrive(subject, *map(encode, jobs), now=NOW)

    found = rb.users.find(email=email.upper() if email.isascii() else email)

    assert [user.id for user in found] == expected(jobs, {"email": email}, None, None)
