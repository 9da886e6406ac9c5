"""Engagement: the newest state stands (22), only the owner's counts (33), and all messages at once (34)."""

from __future__ import annotations

from typing import Final

from tests.support.builders import delete, identify, mark, mark_all, merge, trigger
from tests.support.rule_case import Case, case

from rollbook_shared.domain.deterministic_ids import message_id
from rollbook_shared.jobs.models import Job

_A: Final = message_id("hello", "a", "in_app")
_GUEST: Final = message_id("hello", "guest", "in_app")


def _people() -> list[Job]:
    """`a`, a guest and a stranger; `hello` to the first two on day 2."""
    return [
        identify("a", at=1),
        identify("guest", at=1),
        identify("stranger", at=1),
        trigger("hello", ["a", "guest"], at=2, job="hello"),
    ]


ENGAGEMENT: Final[tuple[Case, ...]] = (
    case(
        "rule 22: of an engagement and its opposite the later stands",
        [*_people(), mark([_A], "read", at=3), mark([_A], "seen", at=4), mark([_A], "unread", at=5)],
        engagements={"a:hello": ["seen 4"]},
    ),
    case(
        "rule 33: the mark of the owner counts",
        [*_people(), mark([_A, _GUEST], "read", at=3, user_id="a")],
        engagements={"a:hello": ["read 3"]},
    ),
    case(
        "rule 33: the mark of another user does nothing, and overwrites nothing",
        [
            *_people(),
            mark([_A], "read", at=3, user_id="a"),
            mark([_A], "unread", at=4, user_id="stranger"),
            mark([_A], "archived", at=4, user_id="nobody"),
        ],
        engagements={"a:hello": ["read 3"]},
    ),
    case(
        "rule 33: a mark without a user counts for any message",
        [*_people(), mark([_A, _GUEST], "seen", at=3)],
        engagements={"a:hello": ["seen 3"], "guest:hello": ["seen 3"]},
    ),
    case(
        "rule 33: a mark under a merged-away id counts, before the merge and after it",
        [
            *_people(),
            trigger("hi", ["guest"], at=2, job="hi"),
            mark([message_id("hi", "guest", "in_app")], "seen", at=3, user_id="guest"),
            merge("a", "guest", at=4),
            mark([message_id("hi", "guest", "in_app")], "read", at=5, user_id="guest"),
            mark([message_id("hi", "guest", "in_app")], "archived", at=6, user_id="a"),
        ],
        engagements={"a:hi": ["archived 6", "read 5", "seen 3"]},
    ),
    case(
        "rule 33: a mark by the primary before the merge counts for what becomes its message, and no other user's does",
        [
            *_people(),
            mark([_GUEST], "seen", at=3, user_id="a"),
            mark([_GUEST], "read", at=3, user_id="stranger"),
            merge("a", "guest", at=4),
        ],
        engagements={"a:hello": ["seen 3"]},
    ),
    case(
        "rule 33: a mark of a user who was deleted counts for nothing, also if the id is used again later",
        [
            *_people(),
            mark([_A], "seen", at=3, user_id="stranger"),
            delete("stranger", at=4),
            identify("stranger", at=5),
            merge("a", "stranger", at=6),
            mark([_A], "read", at=7, user_id="stranger"),
        ],
        engagements={"a:hello": ["read 7"]},
    ),
    case(
        "rule 34: interacted sets read as well",
        [*_people(), mark([_A], "interacted", at=3, user_id="a"), mark([_A], "unread", at=4, user_id="a")],
        engagements={"a:hello": ["interacted 3"]},
    ),
    case(
        "rule 34: marking all as interacted sets read as well",
        [*_people(), mark_all("a", "interacted", at=3)],
        engagements={"a:hello": ["interacted 3", "read 3"]},
    ),
    case(
        "rule 34: all messages before it are marked; none after, of other users, or on other channels",
        [
            *_people(),
            trigger("mail", ["a"], at=2, channels=("email",)),
            mark_all("a", "read", at=3),
            trigger("after", ["a"], at=4),
        ],
        engagements={"a:hello": ["read 3"]},
    ),
    case(
        "rule 34: a single mark with a later stamp stands over it, and an earlier one does not",
        [
            *_people(),
            mark([_A], "unread", at=2, plus=1),
            mark_all("a", "read", at=3),
            mark_all("a", "seen", at=3),
            mark([_A], "unseen", at=4, user_id="a"),
        ],
        engagements={"a:hello": ["read 3"]},
    ),
    case(
        "rule 34: of marking all and its opposite the later stands",
        [
            *_people(),
            mark_all("a", "archived", at=3),
            mark_all("a", "unarchived", at=5),
            mark_all("guest", "unread", at=5),
            mark_all("guest", "read", at=6),
        ],
        engagements={"guest:hello": ["read 6"]},
    ),
    case(
        "rule 34: what a guest marked comes along in a merge, and what the customer marked before is not the guest's",
        [
            trigger("mine", [identify("a", at=0).user], at=2),
            trigger("theirs", [identify("guest", at=0).user], at=2),
            mark_all("guest", "seen", at=3),
            mark_all("a", "read", at=5),
            merge("a", "guest", at=6),
        ],
        engagements={"a:mine": ["read 5"], "a:theirs": ["seen 3"]},
    ),
    case(
        "rule 34: after a merge either id marks the messages of both",
        [
            trigger("mine", [identify("a", at=0).user], at=2),
            trigger("theirs", [identify("guest", at=0).user], at=2),
            merge("a", "guest", at=3),
            mark_all("guest", "read", at=5),
            trigger("new", ["guest"], at=6),
            mark_all("a", "seen", at=7),
        ],
        engagements={
            "a:mine": ["read 5", "seen 7"],
            "a:theirs": ["read 5", "seen 7"],
            "a:new": ["seen 7"],
        },
    ),
    case(
        "rule 34: an id used again has nothing marked",
        [
            *_people(),
            mark_all("a", "read", at=2, plus=1),
            delete("a", at=3),
            identify("a", at=4),
            trigger("new", ["a"], at=5),
        ],
        engagements={},
    ),
    case(
        "rule 34: marking all creates no user, and changes none",
        [identify("a", at=1, job="made"), mark_all("a", "read", at=2), mark_all("b", "read", at=2)],
        updated={"a": "made"},
    ),
)
