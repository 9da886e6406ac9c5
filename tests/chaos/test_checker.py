"""The checker of a chaos run reports each kind of error."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from benchmarks.chaos.checker import check_history
from benchmarks.chaos.delivery_history import DeliveryHistory, DeliveryRow
from benchmarks.chaos.history import History, LedgerEntry
from benchmarks.chaos.row_details import expected_details
from tests.support.builders import delete, identify, mark, merge, trigger, user

from rollbook_shared.domain.deterministic_ids import activity_id, message_id
from rollbook_shared.jobs.models import Job
from rollbook_shared.reference.oracle import oracle

MESSAGE = message_id("hello", "ann", "in_app")
JOBS: tuple[Job, ...] = (
    identify("ann", at=1, job="ann", plan="pro"),
    identify("guest", at=1, job="guest", city="Oslo"),
    identify("gone", at=1, job="gone"),
    trigger("hello", [user("ann")], at=2, job="hello", actor="gone"),
    mark([MESSAGE], "read", at=3, job="read"),
    merge("ann", "guest", at=4, job="merge"),
    delete("gone", at=5, job="delete"),
)


def as_it_should_be(jobs: tuple[Job, ...] = JOBS) -> History:
    return History(
        jobs=jobs,
        confirmed=len(jobs) + 1,
        to_redis={"ann": 2, "hello": 1},
        ledger={job.id: LedgerEntry(state="applied", duplicates=job.id == "ann") for job in jobs},
        world=copy.deepcopy(oracle(jobs)),
        details=expected_details(jobs),
    )


def test_the_expected_history_is_equal() -> None:
    result = check_history(as_it_should_be())

    assert result.is_equal
    assert result.difference is None


def test_a_job_that_is_not_finished_is_lost() -> None:
    history = as_it_should_be()

    result = check_history(
        replace(history, ledger={id_: found for id_, found in history.ledger.items() if id_ != "hello"})
    )

    assert result.lost == ("hello",)
    assert not result.is_equal


def test_a_buffered_user_that_was_not_sent_is_lost() -> None:
    result = check_history(replace(as_it_should_be(), unpublished=frozenset({"all-000001"})))

    assert result.lost == ("all-000001",)
    assert not result.is_equal


def test_a_delivery_that_reached_no_worker_is_lost() -> None:
    result = check_history(replace(as_it_should_be(), to_redis={"ann": 3, "hello": 1}))

    assert result.lost == ()
    assert result.lost_deliveries == ("ann",)
    assert not result.is_equal


@pytest.mark.parametrize("place", [{"in_redis": {"hello": 1}}, {"in_outbox": frozenset({"hello"})}])
def test_a_waiting_job_is_unfinished_and_not_lost(place: dict[str, Any]) -> None:
    history = as_it_should_be()
    without = {id_: found for id_, found in history.ledger.items() if id_ != "hello"}

    result = check_history(replace(history, ledger=without, **place))

    assert (result.lost, result.unfinished) == ((), ("hello",))
    assert not result.is_equal


def test_a_waiting_delivery_is_not_lost() -> None:
    history = replace(as_it_should_be(), to_redis={"ann": 4})

    assert check_history(replace(history, in_redis={"ann": 2})).lost_deliveries == ()
    assert check_history(replace(history, in_redis={"ann": 1})).lost_deliveries == ("ann",)


def test_a_job_with_duplicate_rows_was_applied_twice() -> None:
    result = check_history(replace(as_it_should_be(), repeated=frozenset({"hello"})))

    assert result.applied_twice == ("hello",)
    assert not result.is_equal


def test_a_job_that_is_applied_and_dead_was_finished_twice() -> None:
    result = check_history(replace(as_it_should_be(), dead={"ann": "failed"}))

    assert result.applied_twice == ("ann",)
    assert result.not_applied == ("ann",)


def test_a_deferred_job_is_not_applied() -> None:
    history = as_it_should_be()

    result = check_history(
        replace(history, ledger={**history.ledger, "ann": LedgerEntry(state="deferred", duplicates=1)})
    )

    assert result.not_applied == ("ann",)
    assert not result.is_equal


def test_a_rolled_back_job_must_not_be_applied() -> None:
    history = as_it_should_be()

    result = check_history(replace(history, ledger={**history.ledger, "rolled-back": LedgerEntry(state="applied")}))

    assert result.unexpected == ("rolled-back",)
    assert not result.is_equal


@pytest.mark.parametrize("ended", ["gone", "guest"], ids=["deleted", "merged away"])
def test_a_removed_user_that_exists_is_resurrected(ended: str) -> None:
    history = as_it_should_be()
    history.world["users"][ended] = history.world["users"]["ann"]

    result = check_history(history)

    assert result.resurrected == (ended,)
    assert not result.is_equal


def test_a_message_that_was_to_leave_and_has_no_delivery_is_found() -> None:
    messages = DeliveryHistory(rows={str(MESSAGE): DeliveryRow(state=None)})

    result = check_history(replace(as_it_should_be(), messages=messages))

    assert result.messages.without_delivery == (str(MESSAGE),)
    assert not result.is_equal


def test_an_unknown_user_is_a_difference() -> None:
    history = as_it_should_be()
    history.world["users"]["stranger"] = history.world["users"]["ann"]

    result = check_history(history)

    assert result.resurrected == ()
    assert result.difference is not None
    assert "users['stranger']" in result.difference.description


def _wrong_property(world: Any) -> None:
    world["users"]["ann"]["properties"]["plan"] = "free"


def _wrong_owner(world: Any) -> None:
    next(iter(world["activities"].values()))["owner"] = "guest"


def _no_redirect(world: Any) -> None:
    del world["merged"]["guest"]


@pytest.mark.parametrize("spoil", [_wrong_property, _wrong_owner, _no_redirect])
def test_each_table_is_compared(spoil: Any) -> None:
    history = as_it_should_be()
    spoil(history.world)

    result = check_history(history)

    assert result.difference is not None
    assert not result.is_equal


def test_a_missing_actor_shows_its_jobs() -> None:
    history = as_it_should_be((*JOBS, identify("jane", at=1, job="jane"), trigger("hi", ["ann"], at=2, actor="jane")))
    row: Any = next(row for row in history.world["activities"].values() if row["actor"] == "jane")
    row.update(actor=None, missing_actor=True)

    difference = check_history(history).difference

    assert difference is not None
    assert "actor" in difference.description
    assert any('"id":"jane"' in job for job in difference.jobs)


def test_a_missing_engagement_is_a_difference() -> None:
    history = as_it_should_be()
    history.world["messages"][str(MESSAGE)]["engagements"].clear()

    result = check_history(history)

    assert result.difference is not None
    assert "['engagements']" in result.difference.description


@pytest.mark.parametrize("row", [MESSAGE, activity_id("hello", "ann")], ids=["message", "activity"])
@pytest.mark.parametrize(
    ("what", "value"), [("data", {"n": 2}), ("tenant", "acme"), ("occurred_at", "1970-01-01T00:00:00+00:00")]
)
def test_a_row_with_details_of_another_trigger_is_a_difference(row: UUID, what: str, value: object) -> None:
    history = as_it_should_be()
    details = {**history.details, str(row): {**history.details[str(row)], what: value}}

    result = check_history(replace(history, details=details))

    assert result.difference is not None
    assert f"['{row}']['{what}']" in result.difference.description


def test_the_difference_with_the_fewest_jobs_is_shown() -> None:
    jobs = (*JOBS, identify("bo", at=1, job="bo", plan="pro"))
    history = as_it_should_be(jobs)
    for name in ("ann", "bo"):
        history.world["users"][name]["properties"]["plan"] = "free"

    result = check_history(history)

    assert result.difference is not None
    assert result.difference.description == "users['bo']['properties']['plan']: 'pro' != 'free'"
    assert len(result.difference.jobs) == 1
    assert '"id":"bo"' in result.difference.jobs[0]


def too_late() -> History:
    """The trigger was older than the retention: it made no messages, and its status says so."""
    history = as_it_should_be()
    world = copy.deepcopy(history.world)
    world["messages"].clear()
    world["activities"].clear()
    return replace(
        history, world=world, details={}, too_late=frozenset({"hello"}), said_to_be_too_late=frozenset({"hello"})
    )


def test_a_trigger_older_than_the_retention_makes_nothing_and_says_so() -> None:
    assert check_history(too_late()).is_equal


def test_a_message_of_a_trigger_older_than_the_retention_is_a_difference() -> None:
    world = as_it_should_be().world

    assert check_history(replace(too_late(), world=world)).difference is not None


@pytest.mark.parametrize(("said", "misjudged"), [(frozenset(), ("hello",)), (frozenset({"hello", "ann"}), ("ann",))])
def test_a_status_that_misjudges_the_retention_is_found(said: frozenset[str], misjudged: tuple[str, ...]) -> None:
    result = check_history(replace(too_late(), said_to_be_too_late=said))

    assert result.misjudged == misjudged
    assert not result.is_equal
