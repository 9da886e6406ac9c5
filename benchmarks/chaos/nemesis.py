"""Injects faults. An injector returns how to undo the fault, if it has to be undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg
import redis
from benchmarks.chaos.environment import Environment
from benchmarks.chaos.fault_kinds import POSTGRES, PROMOTE, VALKEY
from benchmarks.chaos.faults import Fault
from benchmarks.chaos.packet_network import CALM, CUT, Link, PacketNetwork, Weather
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.sink import SinkState
from benchmarks.chaos.supervisor import Supervisor

_BYTES: Final = 3_000
"""Cuts and kills happen within this many bytes: before a job or an answer, or in the middle of one."""
_VALKEY_SHARE: Final = 0.7
_SINK_SHARE: Final = 0.6
_LOSSY: Final = Weather(loss=0.2)
_SLOW: Final = Weather(delay=0.3)
TABLES: Final = (
    *("jobs", "users", "identify_log", "preference_set_versions", "lifecycle_events", "ownership_periods"),
    *("triggers", "activities", "messages", "deliveries"),
)
_OUTBOX: Final = "rollbook_outbox"
_TERMINATE: Final = """
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < %s
"""
_DISK_FULL: Final = """
CREATE OR REPLACE FUNCTION rollbook_chaos_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$
"""


@dataclass(frozen=True, slots=True)
class System:
    """The system under test."""

    environment: Environment
    supervisor: Supervisor


Undo = Callable[[], object]
Injector = Callable[[System, Fault], Undo | None]


def inject(system: System, fault: Fault) -> Undo | None:
    """Inject the fault. Return how to undo it after its duration, if it has to be undone.

    Raises:
        SERVER_ERRORS: it could not be injected, because the server does not answer.
    """
    return INJECTORS[fault.kind](system, fault)


def _kill(system: System, fault: Fault) -> Undo:
    """Kill it while it sends to Valkey or Postgres; if it sends nothing during the fault's duration, at its end."""
    supervisor = system.supervisor
    link = _link(system, fault)
    link.call_after(_random_bytes(fault), supervisor.schedule_kill(fault.target))

    def kill_now() -> None:
        link.cancel_call()
        supervisor.kill(fault.target)

    return kill_now


def _link(system: System, fault: Fault) -> Link | Proxy:
    """That of the process to one of the servers."""
    return system.environment.link(fault.target, VALKEY if fault.choice < _VALKEY_SHARE else POSTGRES)


def _random_bytes(fault: Fault) -> int:
    return 1 + int(fault.choice * 10 % 1 * _BYTES)


def _kill_sender(system: System, fault: Fault) -> Undo:
    """Kill it when it has handed a message over and does not know it yet, or while it sends to Postgres."""
    environment, supervisor = system.environment, system.supervisor
    to_postgres = environment.link(fault.target, POSTGRES)
    if fault.choice < _SINK_SHARE:
        environment.sink.call_when_taken(fault.target, supervisor.schedule_kill(fault.target))
    else:
        to_postgres.call_after(_random_bytes(fault), supervisor.schedule_kill(fault.target))

    def kill_now() -> None:
        environment.sink.cancel_call(fault.target)
        to_postgres.cancel_call()
        supervisor.kill(fault.target)

    return kill_now


def _kill_child(system: System, fault: Fault) -> None:
    system.supervisor.kill_child(fault.target, fault.choice)


def _pause(system: System, fault: Fault) -> Undo:
    system.supervisor.pause(fault.target)
    return lambda: system.supervisor.resume(fault.target)


def _request_stop(system: System, fault: Fault) -> None:
    system.supervisor.request_stop(fault.target)


def _lie(system: System, fault: Fault) -> None:
    system.supervisor.lie(fault.target)


def _fail_sink(system: System, fault: Fault) -> Undo:
    return _spoil_sink(system, SinkState.FAILS)


def _hang_sink(system: System, fault: Fault) -> Undo:
    return _spoil_sink(system, SinkState.HANGS)


def _spoil_sink(system: System, state: SinkState) -> Undo:
    system.environment.sink.become(state)
    return lambda: system.environment.sink.become(SinkState.TAKES)


def _cut_valkey(system: System, fault: Fault) -> None:
    for proxy in system.environment.to_valkey.values():
        proxy.cut(int(fault.choice * _BYTES))


def _disconnect_valkey(system: System, fault: Fault) -> None:
    with system.environment.redis() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


def _stall_valkey(system: System, fault: Fault) -> Undo:
    return _stall(system.environment.to_valkey)


def _stall(proxies: Mapping[str, Proxy]) -> Undo:
    for proxy in proxies.values():
        proxy.stall()

    def resume() -> None:
        for proxy in proxies.values():
            proxy.resume()

    return resume


def _crash_valkey(system: System, fault: Fault) -> Undo:
    system.environment.servers.valkey.kill()
    return system.environment.servers.valkey.start


def _lose_valkey(system: System, fault: Fault) -> Undo:
    system.environment.servers.valkey.kill()
    system.environment.forget_jobs()
    return system.environment.servers.valkey.start


def _cut_postgres(system: System, fault: Fault) -> None:
    for proxy in system.environment.to_postgres.values():
        proxy.cut(int(fault.choice * _BYTES))


def _disconnect_postgres(system: System, fault: Fault) -> None:
    with system.environment.connect() as connection:
        connection.execute(_TERMINATE, [2 * fault.choice])


def _stall_postgres(system: System, fault: Fault) -> Undo:
    return _stall(system.environment.to_postgres)


def _crash_postgres(system: System, fault: Fault) -> Undo:
    system.environment.postgres.stop(immediate=True)
    return system.environment.postgres.start


def _promote(system: System, fault: Fault) -> Undo:
    system.environment.postgres.kill()
    return system.environment.promote


def _full_disk(system: System, fault: Fault) -> Undo:
    tables = (*(f"rollbook.{table}" for table in TABLES), _OUTBOX)
    table = tables[int(fault.choice * len(tables))]
    with system.environment.connect(application=table == _OUTBOX) as connection:
        connection.execute(_DISK_FULL)
        connection.execute(
            f"CREATE TRIGGER rollbook_chaos_full BEFORE INSERT OR UPDATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION rollbook_chaos_full()"
        )

    def free_space() -> None:
        with system.environment.connect(application=table == _OUTBOX) as connection:
            connection.execute("DROP FUNCTION rollbook_chaos_full CASCADE")

    return free_space


def _lock_table(system: System, fault: Fault) -> Undo:
    table = TABLES[int(fault.choice * len(TABLES))]
    holder = system.environment.connect()
    holder.autocommit = False
    with suppress(psycopg.errors.LockNotAvailable):
        holder.execute(f"LOCK TABLE rollbook.{table} IN EXCLUSIVE MODE")
    return holder.close


def _isolate(system: System, fault: Fault) -> Undo:
    return _spoil(system, fault, outgoing=CUT, incoming=CUT)


def _lose_answers(system: System, fault: Fault) -> Undo:
    return _spoil(system, fault, incoming=CUT)


def _lose_requests(system: System, fault: Fault) -> Undo:
    return _spoil(system, fault, outgoing=CUT)


def _lose_packets(system: System, fault: Fault) -> Undo:
    return _spoil(system, fault, outgoing=_LOSSY, incoming=_LOSSY)


def _delay_packets(system: System, fault: Fault) -> Undo:
    return _spoil(system, fault, outgoing=_SLOW, incoming=_SLOW)


def _spoil(system: System, fault: Fault, *, outgoing: Weather = CALM, incoming: Weather = CALM) -> Undo:
    network = _packets(system)
    network.change(fault.target, outgoing=outgoing, incoming=incoming)
    return lambda: network.change(fault.target, outgoing=CALM, incoming=CALM)


def _lose_machine(system: System, fault: Fault) -> Undo:
    """Cut it off and kill it while it sends; the servers never learn of its end. Then it starts on another machine."""
    network, supervisor = _packets(system), system.supervisor
    link = _link(system, fault)
    kill = supervisor.schedule_kill(fault.target)

    def vanish() -> None:
        network.change(fault.target, outgoing=CUT, incoming=CUT)
        kill()

    link.call_after(_random_bytes(fault), vanish)

    def start_elsewhere() -> None:
        link.cancel_call()
        network.move(fault.target)
        supervisor.kill(fault.target)

    return start_elsewhere


def _packets(system: System) -> PacketNetwork:
    network = system.environment.packets
    assert network is not None
    return network


def _skew_clock(system: System, fault: Fault) -> None:
    """Does nothing: the plan already contains the readings of the producer's clock."""


INJECTORS: Final[Mapping[str, Injector]] = {
    "kill-worker": _kill,
    "kill-child": _kill_child,
    "pause-worker": _pause,
    "stop-worker": _request_stop,
    "kill-maintenance": _kill,
    "kill-relay": _kill,
    "kill-http-server": _kill,
    "kill-sender": _kill_sender,
    "pause-sender": _pause,
    "stop-sender": _request_stop,
    "lying-sender": _lie,
    "fail-sink": _fail_sink,
    "hang-sink": _hang_sink,
    "cut-valkey": _cut_valkey,
    "disconnect-valkey": _disconnect_valkey,
    "stall-valkey": _stall_valkey,
    "crash-valkey": _crash_valkey,
    "lose-valkey": _lose_valkey,
    "cut-postgres": _cut_postgres,
    "disconnect-postgres": _disconnect_postgres,
    "stall-postgres": _stall_postgres,
    "crash-postgres": _crash_postgres,
    PROMOTE: _promote,
    "full-disk": _full_disk,
    "lock-table": _lock_table,
    "isolate": _isolate,
    "lose-answers": _lose_answers,
    "lose-requests": _lose_requests,
    "lose-machine": _lose_machine,
    "isolate-valkey": _isolate,
    "isolate-postgres": _isolate,
    "lose-packets": _lose_packets,
    "delay-packets": _delay_packets,
    "skew-clock": _skew_clock,
}

SERVER_ERRORS: Final = (psycopg.OperationalError, psycopg.InterfaceError, redis.ConnectionError, redis.TimeoutError)
"""Errors of an injector whose server is down because of another fault."""
