"""How each kind of fault is dealt. A blow returns what takes it back, where something must."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg
import redis
from benchmarks.chaos.crew import Crew
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.schedule import Fault
from benchmarks.chaos.stage import Stage

_BYTES: Final = 3_000
"""A cut comes within so many bytes, and a kill too: in the middle of a job, of an answer, or before it."""
_OF_VALKEY: Final = 0.7
_WRITTEN: Final = ("jobs", "users", "sightings", "choices", "endings", "spans", "triggers", "activities", "messages")
_OUTBOX: Final = "rollbook_outbox"
_KICK: Final = """
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < %s
"""
_FULL: Final = """
CREATE OR REPLACE FUNCTION rollbook_chaos_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$
"""


@dataclass(frozen=True, slots=True)
class Struck:
    """What blows fall on."""

    stage: Stage
    crew: Crew


Undo = Callable[[], object]
Blow = Callable[[Struck, Fault], Undo | None]


def strike(struck: Struck, fault: Fault) -> Undo | None:
    """Let the fault happen. The first part of it, if there is an `Undo` to follow when it has lasted.

    Raises:
        psycopg.Error, redis.RedisError: it could not be dealt, for the server does not answer.
    """
    return BLOWS[fault.kind](struck, fault)


def _kill(struck: Struck, fault: Fault) -> Undo:
    """In the midst of what it has to say to Valkey or Postgres; if it says nothing meanwhile, in the end."""
    stage, crew = struck.stage, struck.crew
    ways = stage.to_valkey if fault.choice < _OF_VALKEY else stage.to_postgres
    way = ways[fault.target]
    way.fuse(1 + int(fault.choice * 10 % 1 * _BYTES), crew.doom(fault.target))

    def for_sure() -> None:
        way.put_out()
        crew.kill(fault.target)

    return for_sure


def _kill_child(struck: Struck, fault: Fault) -> None:
    struck.crew.kill_child(fault.target, fault.choice)


def _freeze(struck: Struck, fault: Fault) -> Undo:
    struck.crew.freeze(fault.target)
    return lambda: struck.crew.thaw(fault.target)


def _stop(struck: Struck, fault: Fault) -> None:
    struck.crew.tell_to_stop(fault.target)


def _cut_valkey(struck: Struck, fault: Fault) -> None:
    for way in struck.stage.to_valkey.values():
        way.cut(int(fault.choice * _BYTES))


def _kick_valkey(struck: Struck, fault: Fault) -> None:
    with struck.stage.redis() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


def _stall_valkey(struck: Struck, fault: Fault) -> Undo:
    return _stall(struck.stage.to_valkey)


def _stall(ways: Mapping[str, Proxy]) -> Undo:
    for way in ways.values():
        way.stall()

    def flow() -> None:
        for way in ways.values():
            way.flow()

    return flow


def _crash_valkey(struck: Struck, fault: Fault) -> Undo:
    struck.stage.servers.valkey.kill()
    return struck.stage.servers.valkey.start


def _lose_valkey(struck: Struck, fault: Fault) -> Undo:
    struck.stage.servers.valkey.kill()
    struck.stage.forget_jobs()
    return struck.stage.servers.valkey.start


def _cut_postgres(struck: Struck, fault: Fault) -> None:
    for way in struck.stage.to_postgres.values():
        way.cut(int(fault.choice * _BYTES))


def _kick_postgres(struck: Struck, fault: Fault) -> None:
    with struck.stage.connect() as connection:
        connection.execute(_KICK, [2 * fault.choice])


def _stall_postgres(struck: Struck, fault: Fault) -> Undo:
    return _stall(struck.stage.to_postgres)


def _crash_postgres(struck: Struck, fault: Fault) -> Undo:
    struck.stage.servers.postgres.stop(immediate=True)
    return struck.stage.servers.postgres.start


def _full_disk(struck: Struck, fault: Fault) -> Undo:
    tables = (*(f"rollbook.{table}" for table in _WRITTEN), _OUTBOX)
    table = tables[int(fault.choice * len(tables))]
    with struck.stage.connect(application=table == _OUTBOX) as connection:
        connection.execute(_FULL)
        connection.execute(
            f"CREATE TRIGGER rollbook_chaos_full BEFORE INSERT OR UPDATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION rollbook_chaos_full()"
        )

    def make_room() -> None:
        with struck.stage.connect(application=table == _OUTBOX) as connection:
            connection.execute("DROP FUNCTION rollbook_chaos_full CASCADE")

    return make_room


def _lock_table(struck: Struck, fault: Fault) -> Undo:
    table = _WRITTEN[int(fault.choice * len(_WRITTEN))]
    holder = struck.stage.connect()
    holder.autocommit = False
    with suppress(psycopg.errors.LockNotAvailable):
        holder.execute(f"LOCK TABLE rollbook.{table} IN EXCLUSIVE MODE")
    return holder.close


def _skew(struck: Struck, fault: Fault) -> None:
    """The plan has it already: the producer's clock is what the plan says."""


BLOWS: Final[Mapping[str, Blow]] = {
    "kill-worker": _kill,
    "kill-child": _kill_child,
    "freeze-worker": _freeze,
    "stop-worker": _stop,
    "kill-maintenance": _kill,
    "kill-relay": _kill,
    "cut-valkey": _cut_valkey,
    "kick-valkey": _kick_valkey,
    "stall-valkey": _stall_valkey,
    "crash-valkey": _crash_valkey,
    "lose-valkey": _lose_valkey,
    "cut-postgres": _cut_postgres,
    "kick-postgres": _kick_postgres,
    "stall-postgres": _stall_postgres,
    "crash-postgres": _crash_postgres,
    "full-disk": _full_disk,
    "lock-table": _lock_table,
    "skew-clock": _skew,
}

UNREACHED: Final = (psycopg.Error, redis.RedisError)
"""What a blow says of a server that another one has struck."""
