"""The picture of an identity cluster: a line for each id, and the merges between them in the order of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rollbook import ExplainedEvent, ExplainedPeriod, UserExplanation
from rollbook_server.console.cluster_picture import MOST_IDS, cluster_picture

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: int) -> datetime:
    return START + timedelta(days=day)


def merge(primary: str, secondary: str, day: int, no_effect: str | None = None) -> ExplainedEvent:
    return ExplainedEvent(
        kind="merge", user_id=secondary, primary_id=primary, occurred_at=at(day), job_id="j", no_effect=no_effect
    )


def period(id_: str, since: int, until: int | None, owner: str | None, *, existed: bool = True) -> ExplainedPeriod:
    return ExplainedPeriod(
        user_id=id_, since=at(since), until=None if until is None else at(until), owner=owner, existed=existed
    )


def explanation(
    *ids: str, events: tuple[ExplainedEvent, ...] = (), ownership: tuple[ExplainedPeriod, ...] = ()
) -> UserExplanation:
    return UserExplanation(
        id=ids[0],
        asked_for=ids[0],
        exists=True,
        traits=(),
        preferences=(),
        channel_data=(),
        tokens=(),
        ids=ids,
        events=events,
        ownership=ownership,
        is_complete=True,
    )


def test_one_id_to_which_nothing_happened_has_no_picture() -> None:
    assert cluster_picture(explanation("ann", ownership=(period("ann", 0, None, "ann"),))) is None


def test_each_id_has_a_line_and_a_merge_leads_from_the_secondary_to_the_primary() -> None:
    periods = (
        period("ann", 0, None, "ann"),
        period("guest", 1, 2, None),
        period("guest", 2, 5, "ann"),
        period("guest", 5, None, "ann"),
    )

    picture = cluster_picture(explanation("ann", "guest", events=(merge("ann", "guest", 5),), ownership=periods))

    assert picture is not None
    ann, guest = picture.lines
    assert [bar.kind for bar in ann.bars] == ["own"]
    assert [bar.kind for bar in guest.bars] == ["none", "own", "own"]
    (mark,) = picture.strokes
    assert (mark.y, mark.to_y) == (guest.y, ann.y)
    assert [tick.at for tick in picture.ticks] == [at(0), at(1), at(2), at(5)]
    assert [tick.x for tick in picture.ticks] == sorted({tick.x for tick in picture.ticks})
    assert all(bar.x + bar.width <= picture.width for line in picture.lines for bar in line.bars)


def test_a_user_of_many_ids_shows_those_that_were_merged_last() -> None:
    ids = [f"id-{number}" for number in range(100)]
    events = tuple(merge("id-0", id_, number) for number, id_ in enumerate(ids[1:], start=1))

    picture = cluster_picture(explanation(*ids, events=events))

    assert picture is not None
    assert [line.id for line in picture.lines][:3] == ["id-0", "id-99", "id-98"]
    assert (len(picture.lines), picture.left_out) == (MOST_IDS, 100 - MOST_IDS)


def test_a_long_id_is_shortened_and_has_no_control_characters() -> None:
    id_ = "x" * 100 + "\x1b"

    picture = cluster_picture(explanation("ann", id_, events=(merge("ann", id_, 1),)))

    assert picture is not None
    label = picture.lines[1].label
    assert len(label) < 30
    assert "\x1b" not in label + picture.lines[1].id
