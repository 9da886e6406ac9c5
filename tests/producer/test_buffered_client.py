"""Buffered identifies are sent as few jobs, are never lost silently, and have the same result."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.brokers import connect_to_broker
from tests.support.conflicting_jobs import properties, user_ids
from tests.support.facts import single_facts_of
from tests.support.projected_world import world_of
from tests.support.waits import DEADLINE_SECONDS

from rollbook import InvalidRequest, Limits, NotSent, Rollbook
from rollbook.client import BufferedRollbook
from rollbook.publishing.buffered import BufferFull
from rollbook.testing import RecordingPublisher, RecordingRollbook, recording
from rollbook_shared.domain.stamps import Stamp, datetime_of, occurred_at_of
from rollbook_shared.jobs.codec import decode, encode
from rollbook_shared.jobs.models import BulkIdentify, Delete, Identify, Job, Trigger
from rollbook_shared.reference.oracle import oracle
from rollbook_shared.reference.world import World
from rollbook_worker.core import join

NEVER = 3_600.0
MEBIBYTE = 1024 * 1024


class Slow(RecordingPublisher):
    """A broker that can be closed and opened, and says when a job arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.arrived = threading.Event()

    def publish(self, job: Job) -> None:
        assert self.open.wait(DEADLINE_SECONDS)
        super().publish(job)
        self.arrived.set()


@pytest.fixture
def publisher() -> Slow:
    return Slow()


@pytest.fixture
def buffered(publisher: Slow) -> Iterator[Callable[..., BufferedRollbook]]:
    made: list[BufferedRollbook] = []

    def make(**options: Any) -> BufferedRollbook:
        made.append(Rollbook(publisher=publisher).buffered(**{"max_seconds": NEVER, **options}))
        return made[-1]

    yield make
    publisher.is_down = False
    publisher.open.set()
    for rb in made:
        rb.close()


def users_of(publisher: Slow) -> list[list[str]]:
    return [[user.id for user in job.users if not hasattr(user, "reason")] for job in publisher.sent.of(BulkIdentify)]


def test_a_full_buffer_is_sent_as_one_job(publisher: Slow, buffered: Callable[..., BufferedRollbook]) -> None:
    rb = buffered(max_users=3)
    for number in range(5):
        rb.users.identify(f"u{number}", {"n": number})
    assert publisher.arrived.wait(DEADLINE_SECONDS)

    assert users_of(publisher) == [["u0", "u1", "u2"]]
    rb.flush()
    assert users_of(publisher) == [["u0", "u1", "u2"], ["u3", "u4"]]


def test_a_partial_buffer_is_sent_after_its_time(publisher: Slow, buffered: Callable[..., BufferedRollbook]) -> None:
    buffered(max_seconds=0.05).users.identify("u1")

    assert publisher.arrived.wait(DEADLINE_SECONDS)
    assert users_of(publisher) == [["u1"]]


def test_buffered_updates_keep_their_time_and_order(publisher: Slow, buffered: Callable[..., BufferedRollbook]) -> None:
    rb = buffered()
    before = time.time_ns() // 1_000
    rb.users.identify("u1", {"plan": "free"})
    rb.users.identify("u1", {"plan": "pro"})
    rb.flush()

    (job,) = publisher.sent.of(BulkIdentify)
    assert users_of(publisher) == [["u1", "u1"]]
    assert before <= job.timestamps[0] <= job.timestamps[1] == job.occurred_at
    assert oracle([job])["users"]["u1"]["properties"] == {"plan": "pro"}


def test_a_call_with_its_own_id_or_time_is_sent_at_once(
    publisher: Slow, buffered: Callable[..., BufferedRollbook]
) -> None:
    rb = buffered()
    rb.users.identify("u1")
    rb.users.identify("u1", job_id="mine")
    rb.users.identify("u1", occurred_at=datetime_of(1))
    rb.users.identify("u1", delay=60)
    rb.users.delete("u2")
    rb.workflows.trigger("hello", ["u1"])

    assert [type(job) for job in publisher.sent] == [Identify, Identify, Identify, Delete, Trigger]


def test_an_invalid_call_raises_at_once(publisher: Slow, buffered: Callable[..., BufferedRollbook]) -> None:
    rb = buffered()
    with pytest.raises(InvalidRequest):
        rb.users.identify("u1", {"email": 1})
    rb.flush()

    assert publisher.sent == []


def test_large_users_are_split_into_jobs_that_a_worker_accepts(publisher: Slow) -> None:
    limits = Limits(max_bulk_users=10_000)
    with Rollbook(publisher=publisher, limits=limits).buffered(max_users=10_000, max_seconds=NEVER) as rb:
        for number in range(10):
            rb.users.identify(f"u{number}", {"text": "x" * 250_000})

    assert [len(ids) for ids in users_of(publisher)] == [5, 5]


def test_no_limit_exceeds_the_users_that_a_worker_accepts(publisher: Slow) -> None:
    with pytest.raises(ValueError, match="1 to 10000"):
        Rollbook(publisher=publisher, limits=Limits(max_bulk_users=20_000)).buffered(max_users=10_001)


@pytest.mark.parametrize(
    ("name", "number", "reason"),
    [
        ("max_users", 0, "max_users must be 1 to 100"),
        ("max_users", float("nan"), "max_users must be 1 to 100"),
        ("max_waiting", 0, "max_waiting must be at least 1"),
        ("max_waiting", float("nan"), "max_waiting must be at least 1"),
        ("max_seconds", -1, "each time a number of seconds"),
        ("max_seconds", float("nan"), "each time a number of seconds"),
        ("max_seconds", float("inf"), "each time a number of seconds"),
        ("block_seconds", float("nan"), "each time a number of seconds"),
    ],
)
def test_numbers_out_of_bounds_are_rejected(publisher: Slow, name: str, number: float, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Rollbook(publisher=publisher).buffered(**{name: number})  # type: ignore[arg-type]


def test_large_users_fill_the_buffer_sooner(publisher: Slow, buffered: Callable[..., BufferedRollbook]) -> None:
    rb = buffered(block_seconds=0.05)
    publisher.open.clear()

    for number in range(269):
        rb.users.identify(f"u{number}", {"text": "x" * 250_000})

    with pytest.raises(BufferFull):
        rb.users.identify("u269")
    publisher.open.set()
    rb.flush()
    rb.users.identify("u269")


def test_later_changes_of_a_mapping_do_not_change_the_job(
    publisher: Slow, buffered: Callable[..., BufferedRollbook]
) -> None:
    rb = buffered()
    traits = {"tags": ["a"]}
    rb.users.identify("u1", traits)
    traits["tags"].append("b")
    rb.flush()

    (job,) = publisher.sent.of(BulkIdentify)
    assert oracle([job])["users"]["u1"]["properties"] == {"tags": ["a"]}


def test_a_full_buffer_waits_for_the_broker_and_then_raises(
    publisher: Slow, buffered: Callable[..., BufferedRollbook]
) -> None:
    rb = buffered(max_users=1, max_waiting=2, block_seconds=0.05)
    publisher.open.clear()
    rb.users.identify("u0")
    rb.users.identify("u1")

    with pytest.raises(BufferFull) as full:
        rb.users.identify("ann@example.com")
    assert full.value.waiting == 2
    assert "ann" not in str(full.value)

    publisher.open.set()
    rb.flush()
    assert users_of(publisher) == [["u0"], ["u1"]]


def test_a_waiting_caller_continues_when_there_is_room(
    publisher: Slow, buffered: Callable[..., BufferedRollbook]
) -> None:
    rb = buffered(max_users=1, max_waiting=1, block_seconds=20)
    publisher.open.clear()
    rb.users.identify("u0")
    waits = threading.Thread(target=rb.users.identify, args=("u1",))
    waits.start()
    publisher.open.set()
    waits.join(DEADLINE_SECONDS)
    rb.flush()

    assert users_of(publisher) == [["u0"], ["u1"]]


def test_an_outage_is_reported_by_flush_and_close_and_loses_nothing(
    publisher: Slow, buffered: Callable[..., BufferedRollbook]
) -> None:
    rb = buffered()
    publisher.is_down = True
    job = rb.users.identify("u1")
    for report in (rb.flush, rb.close):
        with pytest.raises(NotSent) as failure:
            report()
        assert failure.value.job_id == job.id

    publisher.is_down = False
    rb.close()
    assert [job.id for job in publisher.sent] == [job.id]


def test_the_thread_retries_by_itself(
    publisher: Slow, buffered: Callable[..., BufferedRollbook], caplog: pytest.LogCaptureFixture
) -> None:
    rb = buffered(max_users=1)
    publisher.is_down = True
    rb.users.identify("ann@example.com")
    deadline = time.monotonic() + 20
    while not caplog.records and time.monotonic() < deadline:
        publisher.arrived.wait(0.01)
    publisher.is_down = False

    assert publisher.arrived.wait(DEADLINE_SECONDS)
    assert len(caplog.records) == 1
    assert "ann" not in caplog.text


def test_a_closed_client_can_be_used_again(publisher: Slow, buffered: Callable[..., BufferedRollbook]) -> None:
    rb = buffered(max_users=1)
    rb.close()
    rb.users.identify("u1")

    assert publisher.arrived.wait(DEADLINE_SECONDS)


def test_threads_can_share_a_client(publisher: Slow, buffered: Callable[..., BufferedRollbook]) -> None:
    rb = buffered(max_users=7)

    def identify_many(first: int) -> None:
        for number in range(first, first + 100):
            rb.users.identify(f"u{number}")

    threads = [threading.Thread(target=identify_many, args=(first,)) for first in range(0, 800, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rb.flush()

    assert sorted(id_ for ids in users_of(publisher) for id_ in ids) == sorted(f"u{number}" for number in range(800))
    assert all(len(ids) <= 7 for ids in users_of(publisher))


@pytest.mark.parametrize("options", [{"max_users": 0}, {"max_users": 101}, {"max_waiting": 0}, {"max_seconds": -1}])
def test_contradictory_settings_are_rejected(
    buffered: Callable[..., BufferedRollbook], options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError):
        buffered(**options)


def test_a_forked_child_starts_with_an_empty_buffer(broker_url: str) -> None:
    context = multiprocessing.get_context("fork")
    with Rollbook(broker_url=broker_url) as rb, rb.buffered(max_seconds=NEVER) as gathering:
        gathering.users.identify("parents")
        child = context.Process(target=_identify_in_child, args=(gathering,))
        child.start()
        child.join(DEADLINE_SECONDS)
        assert child.exitcode == 0
        gathering.flush()

    with connect_to_broker(broker_url) as client:
        assert client.llen("bulk") == 2


def _identify_in_child(rb: BufferedRollbook) -> None:
    rb.users.identify("childs")
    rb.close()


AT_EXIT = """
import sys, rollbook
rb = rollbook.Rollbook(broker_url=sys.argv[1]).buffered(max_seconds=3600)
rb.users.identify("ann@example.com")
"""


def test_a_normal_exit_sends_the_buffer(broker_url: str) -> None:
    with connect_to_broker(broker_url) as client:
        client.delete("bulk")
        done = subprocess.run([sys.executable, "-c", AT_EXIT, broker_url], capture_output=True, text=True, check=True)

        assert client.llen("bulk") == 1
    assert done.stderr == ""


def test_an_exit_without_a_broker_reports_the_loss() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, "redis://127.0.0.1:1/0"], capture_output=True, text=True, check=False
    )

    assert "1 buffered users were not sent" in done.stderr
    assert "ann" not in done.stderr


Call = tuple[str, Any]
_calls: st.SearchStrategy[list[Call]] = st.lists(
    st.one_of(
        st.tuples(st.just("identify"), st.tuples(user_ids, properties)),
        st.tuples(st.just("identify"), st.tuples(user_ids, properties)),
        st.tuples(
            st.just("sent_before"), st.tuples(user_ids, properties, st.integers(500, 530).map(lambda n: 2 * n + 1))
        ),
        st.tuples(st.just("delete"), user_ids),
        st.tuples(st.just("merge"), st.permutations("abcd")),
        st.tuples(st.just("trigger"), user_ids),
        st.tuples(st.just("flush"), st.none()),
    ),
    max_size=24,
)


def play(rb: Rollbook, calls: list[Call], tick: Callable[[], int]) -> None:
    for kind, what in calls:
        number = tick()
        match kind:
            case "identify":
                rb.users.identify(*what)
            case "sent_before":
                user_id, traits, at = what
                rb.users.identify(user_id, traits, occurred_at=datetime_of(at), job_id=f"b{number}")
            case "delete":
                rb.users.delete(what)
            case "merge":
                rb.users.merge(what[0], from_user_id=what[1])
            case "trigger":
                rb.workflows.trigger("hello", [what], job_id=f"t{number}")
            case "flush" if isinstance(rb, BufferedRollbook):
                rb.flush()


class Ticking:
    """A clock that moves by two microseconds with each call, so that both faces see the same times, and no call
    happens at the odd times of other jobs: which of two jobs of one time is later, their fresh ids would say.
    """

    def __init__(self) -> None:
        self.now = 1_000

    def tick(self) -> int:
        self.now += 2
        return self.now


def played(calls: list[Call], max_users: int | None) -> list[Job]:
    clock = Ticking()
    rb: RecordingRollbook = recording(clock=lambda: clock.now)
    if max_users is None:
        play(rb, calls, clock.tick)
    else:
        with rb.buffered(max_users=max_users, max_seconds=NEVER) as gathering:
            play(gathering, calls, clock.tick)
    return list(rb.sent)


def with_times(world: World) -> dict[str, Any]:
    """Without the ids of jobs, which differ: when each user was updated rather than by which job."""
    users = {id_: {**user, "updated": occurred_at_of(Stamp(user["updated"]))} for id_, user in world["users"].items()}
    return {**world, "users": users}


@settings(max_examples=150, deadline=None)
@given(calls=_calls, max_users=st.integers(1, 5), order=st.randoms(use_true_random=False))
def test_buffered_jobs_in_any_order_equal_single_ones(calls: list[Call], max_users: int, order: random.Random) -> None:
    gathered = [decode(encode(job)) for job in played(calls, max_users)]
    delivered = [*gathered, *gathered[:2]]
    order.shuffle(delivered)

    kept = join({}, (fact for job in delivered for fact in single_facts_of(job)))

    expected = with_times(oracle(played(calls, None)))
    assert with_times(world_of(kept.values())) == expected
    assert with_times(oracle(gathered)) == expected
