"""The checker of deliveries finds each kind of error, and accepts what a sender that died may have done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.chaos.delivery_checker import check_deliveries
from benchmarks.chaos.delivery_history import DeliveryHistory, DeliveryRow
from benchmarks.chaos.delivery_journal import Claim, DeliveryJournal, HandOver, Record, Report, read_records

LEASE = 4.0


def claim(number: int, *, at: float) -> Claim:
    return Claim(id="one", claim=number, claimed_at=at, lease_ends_at=at + LEASE)


def hand_over(number: int, *, at: float) -> HandOver:
    return HandOver(id="one", claim=number, at=at)


def report(number: int, outcome: Any = "sent", *, at: float, **answer: Any) -> Report:
    return Report(
        id="one", claim=number, outcome=outcome, begun_at=at, **{"answered_at": at + 0.1, "counts": True} | answer
    )


def history(*records: Record | HandOver, state: str | None = "sent", reason: str | None = None) -> DeliveryHistory:
    return DeliveryHistory(
        rows={"one": DeliveryRow(state=state, reason=reason)},
        claims=tuple(each for each in records if isinstance(each, Claim)),
        hand_overs=tuple(each for each in records if isinstance(each, HandOver)),
        reports=tuple(each for each in records if isinstance(each, Report)),
    )


def found(*records: Record | HandOver, **row: Any) -> set[str]:
    result = check_deliveries(history(*records, **row), {"one"})
    return {what for what, ids in result.found.items() if ids}


ONCE = (claim(1, at=1), hand_over(1, at=2), report(1, at=3))
DIED = (claim(1, at=1), hand_over(1, at=2), report(1, at=3, answered_at=None, counts=False))
"""Its sender was killed while it reported."""


def test_a_message_that_is_handed_over_once_is_right() -> None:
    result = check_deliveries(history(*ONCE), {"one"})

    assert not any(result.found.values())
    assert (result.handed_over, result.again) == (1, 0)


def test_a_message_of_a_sender_that_died_may_be_handed_over_again() -> None:
    result = check_deliveries(history(*DIED, claim(2, at=6), hand_over(2, at=6.1), report(2, at=6.2)), {"one"})

    assert not any(result.found.values())
    assert (result.handed_over, result.again) == (1, 1)


def test_a_failure_or_a_release_ends_a_lease_even_if_its_answer_was_lost() -> None:
    for outcome in ("failed", "release"):
        lost = report(1, outcome, at=2, answered_at=None, counts=False)
        again = (claim(2, at=2.5), hand_over(2, at=3), report(2, at=3.1))

        assert found(claim(1, at=1), lost, *again) == set()
        assert found(claim(1, at=1), *again) == {"claimed twice"}


@pytest.mark.parametrize("state", ["skipped", "cancelled", "undeliverable"])
def test_a_message_need_not_be_sent(state: str) -> None:
    assert found(state=state, reason="opted out") == set()


def test_a_message_without_a_delivery_is_found() -> None:
    assert found(state=None) == {"without delivery"}


@pytest.mark.parametrize("state", ["pending", "claimed", "failed"])
def test_a_delivery_that_waits_at_the_end_is_found(state: str) -> None:
    assert found(state=state) == {"not final"}


def test_a_delivery_waits_for_a_recipient_whom_the_reference_does_not_know_either() -> None:
    waiting = history(state="pending", reason="unknown recipient")

    assert check_deliveries(waiting, known=()).not_final == ()
    assert check_deliveries(waiting, known=("one",)).not_final == ("one",)


def test_a_message_that_is_sent_by_no_sender_is_found() -> None:
    assert found(claim(1, at=1), report(1, at=3)) == {"sent by no sender"}


def test_a_claim_that_hands_over_twice_is_found() -> None:
    assert found(*ONCE, hand_over(1, at=2.5)) == {"handed over twice"}


def test_a_hand_over_without_a_claim_is_found() -> None:
    assert found(hand_over(1, at=2)) == {"handed over twice"}


@pytest.mark.parametrize("other", [claim(1, at=6), claim(2, at=4)], ids=["the same claim", "within the lease"])
def test_two_senders_with_one_delivery_are_found(other: Claim) -> None:
    assert found(*DIED, other) == {"claimed twice"}


def test_a_claim_after_it_was_sent_is_found() -> None:
    assert found(*ONCE, claim(2, at=6)) == {"claimed after sent"}


def test_a_lie_that_counts_is_found() -> None:
    assert found(*ONCE, report(7, at=4, is_lie=True)) == {"lies believed"}
    assert found(*ONCE, report(7, at=4, is_lie=True, counts=False)) == set()


def test_a_late_report_counts_only_while_no_other_sender_has_the_delivery() -> None:
    handed_over = (claim(1, at=1), hand_over(1, at=2))

    assert found(*handed_over, report(1, at=9)) == set()
    assert found(*handed_over, claim(2, at=6), report(1, at=9)) == {"lies believed"}
    assert found(*handed_over, claim(2, at=6), report(1, at=9, counts=False)) == set()


def test_a_failure_after_it_was_sent_does_not_count() -> None:
    assert found(*ONCE, report(1, "failed", at=4)) == {"lies believed"}
    assert found(*ONCE, report(1, "failed", at=4, counts=False), report(1, at=5)) == set()


def test_a_journal_goes_on_after_a_restart(tmp_path: Path) -> None:
    written: tuple[Record, ...] = (claim(1, at=1), report(1, at=3))
    for record in written:
        DeliveryJournal(tmp_path / "journal").add(record)
    with (tmp_path / "journal").open("a") as file:
        file.write('["Claim", {"id"')  # of a process that ended within a line

    assert tuple(read_records([tmp_path / "journal"])) == written
