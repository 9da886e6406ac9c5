"""The doctor's findings in a real Valkey."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest
import redis
from tests.support.brokers import connect_to_broker
from tests.support.operations.findings import HOUR, MARKED, NO_REDIS, named
from tests.support.waits import wait_until

from rollbook.publishing.celery_message import CeleryMessage
from rollbook_ops.devstack import Servers
from rollbook_ops.doctor import Finding, Level
from rollbook_ops.doctor.redis import examine_redis
from rollbook_shared.domain.stamps import new_job_id
from rollbook_shared.errors import NotConfigured
from rollbook_shared.jobs.celery_task import EncodedJob
from rollbook_shared.jobs.models import Identify, UserUpdate
from rollbook_shared.observability.inspection import VISIBILITY_SECONDS
from rollbook_shared.observability.inspection.queues import sent_at
from rollbook_shared.settings import Settings


@pytest.fixture(scope="module")
def valkey(own_servers: Servers) -> Iterator[redis.Redis]:
    with connect_to_broker(own_servers.broker_url) as client:
        yield client


@pytest.fixture(autouse=True)
def clean(valkey: redis.Redis) -> Iterator[None]:
    before = {
        name: cast("dict[str, str]", valkey.config_get(name))[name]
        for name in ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync")
    }
    yield
    valkey.replicaof("NO", "ONE")
    for name, value in before.items():
        valkey.config_set(name, value)
    valkey.flushall()


@pytest.fixture
def look(own_servers: Servers) -> Callable[..., Finding]:
    def look(name: str, *, ahead: float = 0.0) -> Finding:
        settings = Settings(broker_url=own_servers.broker_url)
        return named(examine_redis(settings, lambda: time.time() + ahead), name)

    return look


def test_healthy_redis_has_no_findings(own_servers: Servers) -> None:
    findings = list(examine_redis(Settings(broker_url=own_servers.broker_url), time.time))

    assert {finding.level for finding in findings} == {Level.OK}
    assert len(findings) == 11


def test_redis_that_is_not_available_is_a_problem() -> None:
    found = named(examine_redis(Settings(broker_url=NO_REDIS), time.time), "redis")

    assert found.level is Level.PROBLEM
    assert "refused" in found.summary


def test_a_wrong_password_is_a_problem(own_servers: Servers) -> None:
    url = f"redis://:{MARKED}@127.0.0.1:{own_servers.valkey.port}/0"

    assert named(examine_redis(Settings(broker_url=url), time.time), "redis").level is Level.PROBLEM


def test_a_url_that_is_not_of_redis_is_rejected() -> None:
    with pytest.raises(NotConfigured) as error:
        list(examine_redis(Settings(broker_url=f"http://{MARKED}"), time.time))

    assert MARKED not in str(error.value)


def test_eviction_is_a_problem(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.config_set("maxmemory-policy", "allkeys-lru")

    assert look("eviction").level is Level.PROBLEM


def test_missing_persistence_is_a_warning(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.config_set("appendonly", "no")

    assert look("persistence").level is Level.WARNING


@pytest.mark.parametrize(
    ("policy", "level", "summary"),
    [
        ("always", Level.OK, "everything that is confirmed is on disk"),
        ("everysec", Level.OK, "the last second or two"),
        ("no", Level.WARNING, "half a minute"),
    ],
)
def test_the_fsync_policy_is_reported(
    valkey: redis.Redis, look: Callable[..., Finding], policy: str, level: Level, summary: str
) -> None:
    valkey.config_set("appendfsync", policy)

    found = look("persistence")

    assert found.level is level
    assert summary in found.summary


def test_the_fsync_policy_may_be_unknown(own_servers: Servers, valkey: redis.Redis) -> None:
    valkey.acl_setuser("doctor", enabled=True, passwords=["+doctor"], keys="*", commands=["+@all", "-config"])
    url = f"redis://doctor:doctor@127.0.0.1:{own_servers.valkey.port}/0"

    found = named(examine_redis(Settings(broker_url=url), time.time), "persistence")

    valkey.acl_deluser("doctor")
    assert (found.level, found.summary) == (Level.OK, "appendonly is on")


@pytest.fixture
def failing_disk(own_servers: Servers, valkey: redis.Redis) -> Iterator[None]:
    """Make saving to disk fail: a folder has the name of the file."""
    in_the_way = own_servers.valkey.home / "dump.rdb"
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    valkey.bgsave()
    wait_until(lambda: valkey.info()["rdb_last_bgsave_status"] == "err", what="failing")
    yield
    in_the_way.rmdir()
    valkey.config_set("save", "")
    valkey.bgsave()
    wait_until(lambda: valkey.info()["rdb_last_bgsave_status"] == "ok", what="saving")


@pytest.mark.usefixtures("failing_disk")
def test_failed_writes_to_the_disk_are_a_problem(look: Callable[..., Finding]) -> None:
    assert look("persistence").level is Level.PROBLEM


@pytest.mark.usefixtures("failing_disk")
def test_writes_rejected_because_of_the_disk_are_a_problem(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.config_set("save", "3600 1")

    found = look("redis")

    assert (found.level, found.summary) == (
        Level.PROBLEM,
        "not available: Redis cannot write to its disk, and takes no jobs",
    )
    assert "disk" in found.advice


@pytest.mark.parametrize(("times", "level"), [(100.0, Level.OK), (1.15, Level.WARNING), (1.0, Level.PROBLEM)])
def test_nearly_full_memory_is_reported(
    valkey: redis.Redis, look: Callable[..., Finding], times: float, level: Level
) -> None:
    used = valkey.info()["used_memory"]
    valkey.config_set("maxmemory", int(used * times) + 40_000)

    assert look("memory").level is level


def test_a_replica_is_a_problem(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.replicaof("127.0.0.1", "1")

    assert look("role").level is Level.PROBLEM


def test_keys_of_the_http_server_are_rollbooks(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.set("rollbook:idempotency:0f", "1")

    assert look("other keys").level is Level.OK


def test_keys_of_other_applications_are_reported(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.set(f"session:{MARKED}", "1")
    assert look("other keys").level is Level.WARNING

    valkey.sadd("_kombu.binding.celery", f"celery\x06\x16\x06\x16{MARKED}")
    assert look("other keys").level is Level.PROBLEM


@pytest.mark.parametrize(
    ("waits", "level"), [(5, Level.OK), (HOUR, Level.WARNING), (None, Level.OK)], ids=["new", "old", "says nothing"]
)
def test_old_jobs_in_a_queue_are_a_warning(
    valkey: redis.Redis, look: Callable[..., Finding], waits: int | None, level: Level
) -> None:
    valkey.lpush("default", message(sent=None if waits is None else time.time() - waits), message(sent=time.time()))

    found = look("queue default")

    assert found.level is level
    assert found.summary.startswith("2 jobs")


def test_old_messages_in_flight_are_a_problem(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.hset("unacked", "tag", MARKED)
    valkey.zadd("unacked_index", {"tag": time.time() - VISIBILITY_SECONDS})
    assert look("in flight").level is Level.OK

    valkey.zadd("unacked_index", {"tag": time.time() - 2 * VISIBILITY_SECONDS})
    assert look("in flight").level is Level.PROBLEM


def test_jobs_that_workers_cannot_apply_are_a_warning(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.hset("unacked", "tag", f'[{message(sent=time.time() - HOUR)},"","default"]')
    valkey.zadd("unacked_index", {"tag": time.time()})

    found = look("in flight")

    assert (found.level, "sent 60 min ago" in found.summary) == (Level.WARNING, True)


def test_messages_without_a_lease_are_a_problem(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.hset("unacked", "tag", MARKED)

    found = look("in flight")

    assert (found.level, found.summary) == (Level.PROBLEM, "1 message with workers, 1 of them without a lease")


def test_unprocessable_messages_are_a_warning(valkey: redis.Redis, look: Callable[..., Finding]) -> None:
    valkey.lpush("dead_letters", MARKED)

    assert look("unprocessable").level is Level.WARNING


@pytest.mark.parametrize(("ahead", "level"), [(20.0, Level.WARNING), (-HOUR, Level.PROBLEM)])
def test_a_clock_that_differs_is_reported(look: Callable[..., Finding], ahead: float, level: Level) -> None:
    assert look("redis clock", ahead=ahead).level is level


def message(*, sent: float | None) -> str:
    """A job as it is stored in a queue."""
    job = Identify(id="chosen", occurred_at=1, user=UserUpdate(id=MARKED, traits={}))
    envelope = json.loads(CeleryMessage.of(EncodedJob.of(job)).text)
    if sent is None:
        del envelope["properties"]["timestamp"]
    else:
        envelope["properties"]["timestamp"] = int(sent)
    return json.dumps(envelope)


class TestWhenAMessageWasSent:
    def test_a_message_of_rollbook_has_its_time(self) -> None:
        assert sent_at(message(sent=1_700_000_000).encode()) == 1_700_000_000

    def test_the_time_may_be_read_from_the_job_id(self) -> None:
        id_ = new_job_id(1_700_000_000_000_000)

        assert sent_at(json.dumps({"properties": {}, "headers": {"id": id_}}).encode()) == 1_700_000_000

    @pytest.mark.parametrize(
        "text",
        [b"", b"[]", b"{}", b'{"properties": 1}', b'{"properties": {}, "headers": {"id": 7}}', b"\xff", b"[" * 9999],
    )
    def test_unreadable_messages_have_no_time(self, text: bytes) -> None:
        assert sent_at(text) is None
