"""Looks at Redis: whether it is there, keeps what it is given, and is ours alone; and at what waits in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import redis.exceptions

from rollbook.publishing.redis import ANSWER_SECONDS, BROKER_FAILURES, CONNECT_SECONDS
from rollbook_ops.doctor.clocks import Clock, check_clock, read
from rollbook_ops.doctor.findings import Finding, many, ok, problem, span, warning
from rollbook_ops.doctor.versions import check_redis_version
from rollbook_shared.broker_url import parse_broker_url
from rollbook_shared.jobs.routing import BULK_QUEUE, DEFAULT_QUEUE, QUEUES
from rollbook_shared.observability.inspection import VISIBILITY_SECONDS, Held, Queue, find_queues
from rollbook_shared.reasons import safe_reason
from rollbook_shared.settings import Settings

MUCH_OF_MEMORY: Final = 0.8
NEARLY_ALL_MEMORY: Final = 0.95
PATIENCE_SECONDS: Final[Mapping[str, float]] = {DEFAULT_QUEUE: 30.0, BULK_QUEUE: 3_600.0}
"""How long a job may wait before somebody should look: for single writes a person may be waiting."""
_LEEWAY_SECONDS: Final = 60.0
_APPLYING_SECONDS: Final = 60.0
"""A worker applies what it has in a second or two; unless Postgres is away, or full, or somebody holds a lock."""
_SCANNED: Final = 10_000
"""Keys looked at; Rollbook itself has a few dozen."""
_OWN_KEYS: Final = frozenset(
    {"unacked", "unacked_index", "unacked_mutex", "unacked_deliveries", "dead_letters", *QUEUES}
)
_OWN_BINDINGS: Final = frozenset({*QUEUES, "celeryev", "celery.pidbox", "reply.celery.pidbox"})
_DISK: Final = "Look at Redis' log and at its disk; until it can write there, it refuses jobs."
_KEPT: Final[Mapping[str | None, str]] = {
    "everysec": "; a crash may cost the last second or two",
    "always": ", and all that is confirmed is on disk",
}
_PRIORITY: Final = "\x06\x16"


def examine_redis(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Everything about Redis; only that it cannot be reached, if so."""
    try:
        with open_redis(settings.need_broker_url()) as client:
            info: dict[str, Any] = client.info()
            yield check_redis_version(info)
            yield check_clock("redis", read(lambda: _time(client), clock), settings.limits.max_clock_skew)
            yield check_eviction(info)
            yield check_persistence(info, _append_fsync(client))
            yield check_memory(info)
            yield check_role(info)
            yield check_neighbours(client)
            queues = find_queues(client)
            yield from map(check_queue, queues.queues)
            yield check_held(queues.held)
            if queues.set_aside:
                said = f"{many(queues.set_aside, 'message')} that no worker could take"
                yield warning("set aside", said, "See the list `dead_letters` in Redis, and deploy/runbook.md.")
    except BROKER_FAILURES as error:
        reason = safe_reason(error)
        advice = "Check ROLLBOOK_BROKER_URL, and that Redis runs and takes connections from here."
        yield problem("redis", f"not available: {reason}", _DISK if "disk" in reason else advice)


@contextmanager
def open_redis(url: str) -> Iterator[Any]:
    """A client of the server that jobs go to first.

    Raises:
        BROKER_FAILURES: it cannot be reached.
        NotConfigured: this is no URL of a Redis.
    """
    endpoint = parse_broker_url(url)[0]
    with endpoint.client(connect_seconds=CONNECT_SECONDS, answer_seconds=ANSWER_SECONDS) as client:
        yield client


def _time(client: Any) -> float:
    seconds, micros = client.time()
    return float(seconds + micros / 1_000_000)


def check_eviction(info: Mapping[str, Any]) -> Finding:
    """Whether Redis drops jobs when it is full."""
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return ok("eviction", policy)
    return problem("eviction", f"{policy}: jobs are dropped when memory is full", "Set maxmemory-policy noeviction.")


def _append_fsync(client: Any) -> str | None:
    """When Redis has on disk what it writes; None if it does not tell, as where others run it."""
    try:
        policy: str | None = client.config_get("appendfsync").get("appendfsync")
    except redis.exceptions.ResponseError:
        return None
    return policy


def check_persistence(info: Mapping[str, Any], append_fsync: str | None) -> Finding:
    """Whether what waits in Redis survives its end, and whether it can be written."""
    if info.get("aof_last_write_status") == "err" or info.get("rdb_last_bgsave_status") == "err":
        return problem("persistence", "Redis could not write to its disk", _DISK)
    if not info.get("aof_enabled"):
        advice = "Set appendonly yes, or send through the outbox, which needs no Redis that keeps anything."
        return warning("persistence", "appendonly is off: jobs that wait are lost when Redis ends", advice)
    if append_fsync == "no":
        said = "appendonly is on, but appendfsync no: a power cut may cost the last half a minute"
        return warning("persistence", said, "Set appendfsync everysec; or always, and what is confirmed is kept.")
    return ok("persistence", "appendonly is on" + _KEPT.get(append_fsync, ""))


def check_memory(info: Mapping[str, Any]) -> Finding:
    """Whether Redis is about to be full. With noeviction it then refuses jobs."""
    used, most = int(info["used_memory"]), int(info.get("maxmemory") or 0)
    if not most:
        return ok("memory", f"{_size(used)}, no limit set")
    said = f"{_size(used)} of {_size(most)}"
    advice = "Find out why jobs pile up, or raise maxmemory; when it is full, jobs are rejected."
    if used >= NEARLY_ALL_MEMORY * most:
        return problem("memory", said, advice)
    return warning("memory", said, advice) if used >= MUCH_OF_MEMORY * most else ok("memory", said)


def check_role(info: Mapping[str, Any]) -> Finding:
    if info.get("role") == "master":
        return ok("role", "takes writes")
    return problem("role", "a replica: jobs cannot be sent to it", "Let ROLLBOOK_BROKER_URL name the master.")


def check_neighbours(client: Any) -> Finding:
    """Whether somebody else uses the same database of Redis. Says how many keys there are and not their names."""
    strange, celery = 0, 0
    for number, key in enumerate(client.scan_iter(count=1_000)):
        name = key.decode(errors="replace")
        strange += not _is_ours(name)
        celery += name.startswith("_kombu.binding.") and not _is_ours(name)
        if number >= _SCANNED:
            break
    if celery:
        said = "another Celery application uses this database: it may take our messages, and we its"
        return problem("neighbours", said, "Give Rollbook a database number of its own, redis://host:6379/N.")
    if strange:
        said = f"{many(strange, 'key')} here are not Rollbook's"
        return warning("neighbours", said, "Give Rollbook a database number of its own, redis://host:6379/N.")
    return ok("neighbours", "none")


def _is_ours(key: str) -> bool:
    if key.startswith("_kombu.binding"):
        family, _, bound = key.removeprefix("_kombu.").partition(".")
        return family != "binding" or bound in _OWN_BINDINGS
    return (
        key.partition(_PRIORITY)[0] in _OWN_KEYS or key.endswith((".celery.pidbox", ".reply.celery.pidbox"))
    ) or key.startswith("celeryev.")


def check_queue(queue: Queue) -> Finding:
    """Whether jobs wait for long."""
    name = f"queue {queue.name}"
    if queue.oldest is None:
        return ok(name, many(queue.jobs, "job"))
    said = f"{many(queue.jobs, 'job')}, the oldest for {span(queue.oldest)}"
    if queue.oldest > PATIENCE_SECONDS[queue.name]:
        advice = f"Start more workers on it (`celery ... worker -Q {queue.name}`), or look why those there are slow."
        return warning(name, said, advice)
    return ok(name, said)


def check_held(held: Held) -> Finding:
    """Whether somebody has died with messages in hand, and nobody puts them back."""
    said = f"{many(held.messages, 'message')} with workers"
    if held.unleased:
        advice = "No worker will put them back; see deploy/runbook.md, a worker hangs."
        return problem("held messages", f"{said}, {held.unleased:,} of them without a lease", advice)
    if held.oldest is None:
        return ok("held messages", said)
    said += f", the oldest for {span(held.oldest)}"
    if held.oldest > VISIBILITY_SECONDS + _LEEWAY_SECONDS:
        advice = f"Any worker puts back what is held for {VISIBILITY_SECONDS} s: start one, or look why those hang."
        return problem("held messages", said, advice)
    if held.waits is not None and held.waits > _APPLYING_SECONDS:
        advice = "Workers have jobs and cannot apply them: their log says why."
        return warning("held messages", f"{said}, sent {span(held.waits)} ago", advice)
    return ok("held messages", said)


def _size(number: int) -> str:
    return f"{number / 1024 / 1024:,.1f} MB"
