"""Checks Redis: that it is available, keeps jobs and is used by Rollbook alone; and how long jobs have been in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import redis.exceptions

from rollbook.publishing.redis import ANSWER_SECONDS, BROKER_FAILURES, CONNECT_SECONDS
from rollbook_ops.doctor.clocks import LocalClock, check_clock, read_clock
from rollbook_ops.doctor.versions import check_redis_version
from rollbook_ops.formatting import format_count, format_duration, format_size
from rollbook_shared.broker_keys import IDEMPOTENCY_PREFIX, OUTBOX_REPORT, WORKER_REPORTS
from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.jobs.celery_task import BULK_QUEUE, DEFAULT_QUEUE, QUEUES
from rollbook_shared.observability.findings import Finding, ok, problem, warning
from rollbook_shared.observability.inspection import VISIBILITY_SECONDS, InFlight, Queue, find_queues
from rollbook_shared.queue_owner import OWNER_KEY
from rollbook_shared.reasons import safe_reason
from rollbook_shared.settings import Settings

WARNING_MEMORY: Final = 0.8
PROBLEM_MEMORY: Final = 0.95
MAX_WAIT_SECONDS: Final[Mapping[str, float]] = {DEFAULT_QUEUE: 30.0, BULK_QUEUE: 3_600.0}
"""How long a job may wait without a warning. A person may be waiting for a single write."""
_LEEWAY_SECONDS: Final = 60.0
_APPLYING_SECONDS: Final = 60.0
"""A worker applies its jobs in a second or two, unless Postgres is not available or full, or a lock blocks it."""
_SCANNED_KEYS: Final = 10_000
"""Keys that are scanned. Rollbook itself has a few dozen."""
_OWN_KEYS: Final = frozenset(
    {
        "unacked",
        "unacked_index",
        "unacked_mutex",
        "unacked_deliveries",
        "dead_letters",
        OWNER_KEY,
        WORKER_REPORTS,
        OUTBOX_REPORT,
        *QUEUES,
    }
)
_OWN_BINDINGS: Final = frozenset({*QUEUES, "celeryev", "celery.pidbox", "reply.celery.pidbox"})
_DISK_ADVICE: Final = "Check Redis' log and its disk. Until Redis can write to it, it rejects jobs."
_FSYNC_EFFECTS: Final[Mapping[str | None, str]] = {
    "everysec": "; a crash may lose the last second or two",
    "always": "; everything that is confirmed is on disk",
}
_DATABASE_ADVICE: Final = "Give Rollbook a database number of its own, redis://host:6379/N."
_PRIORITY_SEPARATOR: Final = "\x06\x16"


def examine_redis(settings: Settings, clock: LocalClock) -> Iterator[Finding]:
    """Check everything about Redis; if it is not available, report only that."""
    try:
        with open_redis(settings.need_broker_url()) as client:
            info: dict[str, Any] = client.info()
            yield check_redis_version(info)
            yield check_user(client)
            yield check_clock("redis", read_clock(lambda: _server_time(client), clock), settings.limits.max_clock_skew)
            yield check_eviction(info)
            yield check_persistence(info, _append_fsync(client))
            yield check_memory(info)
            yield check_role(info)
            yield check_other_keys(client)
            queues = find_queues(client)
            yield from map(check_queue, queues.queues)
            yield check_in_flight(queues.in_flight)
            if queues.unprocessable:
                summary = f"{format_count(queues.unprocessable, 'message')} that no worker could read"
                advice = "See the list `dead_letters` in Redis, and docs/how-to/runbook.md."
                yield warning("unprocessable", summary, advice)
    except redis.exceptions.NoPermissionError:
        summary = "the user of the URL may not ask what the doctor asks"
        yield problem("redis", summary, "Set ROLLBOOK_BROKER_URL to that of rollbook_operator, see deploy/redis.acl.")
    except BROKER_FAILURES as error:
        reason = safe_reason(error)
        advice = "Check ROLLBOOK_BROKER_URL, and that Redis runs and accepts connections from here."
        yield problem("redis", f"not available: {reason}", _DISK_ADVICE if "disk" in reason else advice)


@contextmanager
def open_redis(url: str) -> Iterator[Any]:
    """Connect to the server that receives jobs first.

    Raises:
        BROKER_FAILURES: it is not available.
        NotConfigured: the URL is not one of Redis.
    """
    endpoint = parse_broker_url(url)[0]
    with endpoint.client(connect_seconds=CONNECT_SECONDS, answer_seconds=ANSWER_SECONDS) as client:
        yield client


def _server_time(client: Any) -> float:
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1_000_000)


def check_user(client: Any) -> Finding:
    """Report as which user Redis knows this process. One user for all is common, so that is no warning."""
    try:
        user = client.acl_whoami()
    except redis.exceptions.ResponseError:
        return ok("user", "not known; this Redis does not say")
    if user == "default":
        return ok("user", "default, for all processes alike; deploy/redis.acl has a user for each")
    return ok("user", str(user))


def check_eviction(info: Mapping[str, Any]) -> Finding:
    """Check that Redis does not drop jobs when it is full."""
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok("eviction", policy)
    return problem("eviction", f"{policy}: jobs are dropped when memory is full", "Set maxmemory-policy noeviction.")


def _append_fsync(client: Any) -> str | None:
    """Return when Redis syncs its file to disk; None if it does not answer that, as some hosted services."""
    try:
        policy: str | None = client.config_get("appendfsync").get("appendfsync")
    except redis.exceptions.ResponseError:
        return None
    return policy


def check_persistence(info: Mapping[str, Any], append_fsync: str | None) -> Finding:
    """Check that jobs in Redis survive a restart, and that Redis can write to its disk."""
    if info.get("aof_last_write_status") == "err" or info.get("rdb_last_bgsave_status") == "err":
        return problem("persistence", "Redis could not write to its disk", _DISK_ADVICE)
    if not info.get("aof_enabled"):
        advice = "Set appendonly yes, or send through the outbox, which needs no persistent Redis."
        return warning("persistence", "appendonly is off: jobs in Redis are lost when it stops", advice)
    if append_fsync == "no":
        summary = "appendonly is on, but appendfsync is no: a power failure may lose the last half a minute"
        return warning("persistence", summary, "Set appendfsync everysec, or always to lose nothing that is confirmed.")
    return ok("persistence", "appendonly is on" + _FSYNC_EFFECTS.get(append_fsync, ""))


def check_memory(info: Mapping[str, Any]) -> Finding:
    """Check that Redis is not nearly full. With noeviction it then rejects jobs."""
    used, limit = int(info["used_memory"]), int(info.get("maxmemory") or 0)
    if not limit:
        return ok("memory", f"{format_size(used)}, no limit set")
    summary = f"{format_size(used)} of {format_size(limit)}"
    advice = "Find out why jobs accumulate, or raise maxmemory. When Redis is full, it rejects jobs."
    if used >= PROBLEM_MEMORY * limit:
        return problem("memory", summary, advice)
    return warning("memory", summary, advice) if used >= WARNING_MEMORY * limit else ok("memory", summary)


def check_role(info: Mapping[str, Any]) -> Finding:
    """Check that Redis is not a replica."""
    if info.get("role") == "master":
        return ok("role", "accepts writes")
    return problem("role", "a replica: jobs cannot be sent to it", "Set ROLLBOOK_BROKER_URL to the master.")


def check_other_keys(client: Any) -> Finding:
    """Check that no other application uses the same database of Redis. Reports the number of keys, not their names."""
    others, celery = 0, 0
    for number, key in enumerate(client.scan_iter(count=1_000)):
        name = key.decode(errors="replace")
        others += not _is_own_key(name)
        celery += name.startswith("_kombu.binding.") and not _is_own_key(name)
        if number >= _SCANNED_KEYS:
            break
    if celery:
        summary = "another Celery application uses this database; each may consume the other's messages"
        return problem("other keys", summary, _DATABASE_ADVICE)
    if others:
        summary = f"{format_count(others, 'key')} of something else in this database"
        return warning("other keys", summary, _DATABASE_ADVICE)
    return ok("other keys", "none")


def _is_own_key(key: str) -> bool:
    if key.startswith("_kombu.binding"):
        kind, _, bound = key.removeprefix("_kombu.").partition(".")
        return kind != "binding" or bound in _OWN_BINDINGS
    return (
        key.partition(_PRIORITY_SEPARATOR)[0] in _OWN_KEYS or key.endswith((".celery.pidbox", ".reply.celery.pidbox"))
    ) or key.startswith(("celeryev.", IDEMPOTENCY_PREFIX))


def check_queue(queue: Queue) -> Finding:
    """Check that no job waits for long in the queue."""
    name = f"queue {queue.name}"
    if queue.oldest is None:
        return ok(name, format_count(queue.jobs, "job"))
    summary = f"{format_count(queue.jobs, 'job')}, the oldest for {format_duration(queue.oldest)}"
    if queue.oldest > MAX_WAIT_SECONDS[queue.name]:
        advice = f"Start more workers for it (`celery ... worker -Q {queue.name}`), or find out why they are slow."
        return warning(name, summary, advice)
    return ok(name, summary)


def check_in_flight(in_flight: InFlight) -> Finding:
    """Check that no worker died with messages that will not be restored to their queue."""
    summary = f"{format_count(in_flight.messages, 'message')} with workers"
    if in_flight.orphaned:
        advice = "No worker will restore them to their queue; see docs/how-to/runbook.md, a worker hangs."
        return problem("in flight", f"{summary}, {in_flight.orphaned:,} of them without a lease", advice)
    if in_flight.oldest_renewal is None:
        return ok("in flight", summary)
    summary += f", the oldest for {format_duration(in_flight.oldest_renewal)}"
    if in_flight.oldest_renewal > VISIBILITY_SECONDS + _LEEWAY_SECONDS:
        advice = f"Any worker restores messages after {VISIBILITY_SECONDS} s. Start one, or find out why they hang."
        return problem("in flight", summary, advice)
    if in_flight.oldest_sent is not None and in_flight.oldest_sent > _APPLYING_SECONDS:
        advice = "Workers have jobs and cannot apply them. Their log says why."
        return warning("in flight", f"{summary}, sent {format_duration(in_flight.oldest_sent)} ago", advice)
    return ok("in flight", summary)
