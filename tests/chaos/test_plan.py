"""The plan of a chaos run follows from the seed alone, and contains every kind of conflict and fault."""

from __future__ import annotations

import functools
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from benchmarks.chaos.arguments import parse
from benchmarks.chaos.fault_kinds import FAULT_KINDS, ONLY_WITH_NAMESPACES, ONLY_WITHOUT_NAMESPACES
from benchmarks.chaos.jobs import PERIOD, make_jobs
from benchmarks.chaos.nemesis import INJECTORS, TABLES
from benchmarks.chaos.old_history import plan_old_history
from benchmarks.chaos.operations import Method
from benchmarks.chaos.plan import BUFFERED_PRODUCER, HTTP_PRODUCER, SKEWED, WITH_OUTBOXES, Plan, make_plan
from tests.support.builders import DAY

from rollbook import Rollbook
from rollbook_ops.demo.api_calls import send_job
from rollbook_shared.database.tables import metadata
from rollbook_shared.jobs.codec import digest, encode
from rollbook_shared.jobs.models import KINDS as JOB_KINDS
from rollbook_shared.jobs.models import Job, Merge
from rollbook_worker.store.history_months import GRACE

BEGIN = 1_795_000_000_000_000


@functools.cache
def plan(
    *,
    seed: int = 1,
    jobs: int = 1_500,
    seconds: float = 90,
    kinds: frozenset[str] = frozenset(FAULT_KINDS),
    late_before: int | None = None,
) -> Plan:
    return make_plan(seed=seed, jobs=jobs, seconds=seconds, kinds=kinds, every=1, begin=BEGIN, late_before=late_before)


def test_the_same_seed_makes_the_same_jobs_deliveries_and_faults() -> None:
    assert plan() == plan.__wrapped__()


def test_another_seed_makes_another_plan() -> None:
    one, other = plan(), plan(seed=2)

    assert one.jobs != other.jobs
    assert list(one.faults) != list(other.faults)


def test_every_kind_of_job_and_fault_occurs() -> None:
    assert {job.kind for job in plan().jobs} == set(JOB_KINDS)
    assert {fault.kind for fault in plan().faults} == set(FAULT_KINDS)


def test_with_a_retention_some_triggers_are_older_and_all_else_stays() -> None:
    usual, before = plan(), BEGIN - 3 * PERIOD

    with_late = plan(late_before=before)

    late = [job for job in with_late.jobs if job.id in with_late.too_late]
    assert len(late) == 30
    assert {job.kind for job in late} == {"trigger"}
    assert all(before - 2 * PERIOD <= job.occurred_at <= before for job in late)
    assert with_late.jobs[: -len(late)] == usual.jobs
    assert usual.too_late == frozenset()
    assert min(job.occurred_at for job in usual.jobs) >= BEGIN - 2 * PERIOD - 10**6
    sent = Counter(
        each.job.id
        for own in with_late.phases[0].operations.values()
        for each in own
        if each.job.id in with_late.too_late
    )
    assert sent == dict.fromkeys(with_late.too_late, 2)


def test_the_old_history_ends_before_all_jobs_and_becomes_too_old_in_the_middle_of_the_run() -> None:
    old = plan_old_history(now=BEGIN, seconds=60)

    assert old.late_before < old.first_end < old.second_end < BEGIN - 2 * PERIOD - DAY
    expires = old.second_end + (old.retention + GRACE) // timedelta(microseconds=1)
    assert 20 * 10**6 < expires - BEGIN < 60 * 10**6


def test_each_kind_of_fault_has_an_injector_and_the_tables_exist() -> None:
    assert INJECTORS.keys() == FAULT_KINDS.keys()
    assert {f"rollbook.{name}" for name in TABLES} <= metadata.tables.keys()


def test_merges_and_deletes_are_frequent_and_few_users_busy() -> None:
    sent = plan().phases[0].operations
    others = {each.job.id: each.job for name in (HTTP_PRODUCER, BUFFERED_PRODUCER) for each in sent[name]}
    jobs = [*plan().jobs, *others.values()]
    kinds = Counter(job.kind for job in jobs)
    users = Counter(job.user.id for job in jobs if job.kind == "identify")

    assert kinds["merge"] > len(jobs) / 15
    assert kinds["delete"] > len(jobs) / 20
    assert sum(times for _, times in users.most_common(len(users) // 10)) > len(jobs) / 15


def test_no_user_is_merged_into_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.chaos.jobs._OUTSIDER_SHARE", 1.0)

    few_people = [make_jobs(Random(seed), number=60, now=2 * PERIOD, prefix="job") for seed in range(40)]

    merges = [job for jobs in few_people for job in jobs if isinstance(job, Merge)]
    assert all(merge.primary_id != merge.secondary_id for merge in merges)
    assert any(merge.primary_id[:-1] != merge.secondary_id[:-1] for merge in merges)


def test_jobs_are_sent_1_5_times_in_random_order() -> None:
    made = plan()
    sent = [
        operation.job
        for phase in made.phases
        for producer, operations in phase.operations.items()
        if producer not in (BUFFERED_PRODUCER, HTTP_PRODUCER)
        for operation in operations
        if operation.method is not Method.ROLLED_BACK
    ]

    assert 1.4 < len(sent) / len(made.jobs) < 1.6
    assert {job.id for job in sent} == {job.id for job in made.jobs}
    in_order = sum(one.occurred_at <= other.occurred_at for one, other in pairwise(sent))
    assert 0.4 < in_order / len(sent) < 0.6


def test_jobs_of_each_kind_that_the_http_api_has_are_sent_over_http_alone() -> None:
    made = plan()
    operations = made.phases[0].operations[HTTP_PRODUCER]

    sent = [operation.job for operation in operations]
    assert {job.kind for job in sent} == {"identify", "bulk_identify", "delete", "merge", "trigger"}
    assert len({job.id for job in sent}) > 0.08 * len(made.jobs)
    assert len(sent) > 1.2 * len({job.id for job in sent})  # some are sent again under their key
    assert not {job.id for job in sent} & {job.id for job in made.jobs}


def test_a_target_has_one_fault_at_a_time() -> None:
    for phase in plan().phases:
        struck: dict[str, float] = {}
        for fault in phase.faults:
            assert fault.at > struck.get(fault.target, 0.0)
            struck[fault.target] = fault.at + fault.duration


def test_only_outboxes_send_while_valkey_may_lose_data() -> None:
    every, outbox = plan().phases

    assert "lose-valkey" not in {fault.kind for fault in every.faults}
    assert outbox.operations.keys() == set(WITH_OUTBOXES)


def test_only_the_requested_kinds_of_faults_occur() -> None:
    killing = plan(kinds=frozenset({"kill-worker"}))
    losing = plan(kinds=frozenset({"lose-valkey"}))

    assert [phase.name for phase in killing.phases] == ["all"]
    assert {fault.kind for fault in killing.faults} == {"kill-worker"}
    assert [phase.name for phase in losing.phases] == ["outbox"]
    assert {fault.kind for fault in losing.faults} == {"lose-valkey"}
    assert list(plan(kinds=frozenset()).faults) == []


def test_the_skewed_clock_steps_by_minutes() -> None:
    (every, _) = plan().phases
    off = [
        (operation.job.occurred_at - BEGIN) / 60_000_000 - operation.at / 60
        for operation in every.operations[SKEWED]
        if operation.method is Method.BY_CLOCK
    ]

    assert max(off) - min(off) > 1
    assert all(-10 < minutes < 5 for minutes in off)


def test_rolled_back_jobs_are_not_expected() -> None:
    made = plan()
    rolled_back = {
        operation.job.id
        for phase in made.phases
        for operations in phase.operations.values()
        for operation in operations
        if operation.method is Method.ROLLED_BACK
    }

    assert rolled_back
    assert not rolled_back & {job.id for job in made.jobs}


class _Keeping:
    def __init__(self) -> None:
        self.kept: list[Job] = []

    def publish(self, job: Job) -> None:
        self.kept.append(job)

    def close(self) -> None: ...


def test_the_client_sends_every_job_as_planned() -> None:
    jobs = plan(jobs=600).jobs
    publisher = _Keeping()
    rollbook = Rollbook(publisher=publisher, clock=lambda: BEGIN)

    for job in jobs:
        send_job(rollbook, job)

    assert [(job.id, job.occurred_at, job.deferred, digest(encode(job))) for job in publisher.kept] == [
        (job.id, job.occurred_at, job.deferred, digest(encode(job))) for job in jobs
    ]


def test_an_unknown_kind_of_fault_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--faults", "kill-worker,flood"])

    assert ended.value.code == 2
    assert "unknown kind of fault: flood" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--faults", "isolate"], "only with --namespaces: isolate"),
        (["--namespaces", "--faults", "cut-valkey"], "only without --namespaces: cut-valkey"),
    ],
)
def test_packets_can_be_lost_only_between_namespaces(
    capsys: pytest.CaptureFixture[str], given: list[str], reason: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(given)

    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_with_namespaces_packets_are_lost_and_otherwise_connections_cut() -> None:
    with_them, without = parse(["--namespaces"]).kinds, parse([]).kinds

    assert with_them | without == set(FAULT_KINDS)
    assert with_them - without == ONLY_WITH_NAMESPACES
    assert without - with_them == ONLY_WITHOUT_NAMESPACES
