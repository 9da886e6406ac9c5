"""Lua scripts that move messages between the queues and `unacked`. All of a script happens, or nothing, and none is
retried silently.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, NamedTuple, Self

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError, NoScriptError, ReadOnlyError

from rollbook_shared.job_states import DeadLetterCode
from rollbook_worker.celery_ext.transport.claimed_messages import Claim, ClaimedMessage, QueueState

POISON_SUSPECT_AFTER: Final = 2
"""Failed deliveries after which only a worker that holds nothing else claims a message.

Not after the first: workers are killed now and then, and one such death should not slow down those that take over.
"""

Arguments = Sequence[str | int | float]


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A script, and the hash by which Redis knows it after the first run."""

    text: str
    sha: str

    @classmethod
    def load(cls, name: str) -> Self:
        """Read `scripts/NAME.lua`, and put `scripts/message.lua`, which all scripts share, before it."""
        folder = resources.files(__package__) / "scripts"
        text = "".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("message", name))
        return cls(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_CLAIM: Final = LuaScript.load("claim")
_ACKNOWLEDGE: Final = LuaScript.load("acknowledge")
_RELEASE: Final = LuaScript.load("release")
_REQUEUE: Final = LuaScript.load("requeue")
_DEAD_LETTER: Final = LuaScript.load("dead_letter")
_RENEW: Final = LuaScript.load("renew")
_RESTORE: Final = LuaScript.load("restore")


class Renewed(NamedTuple):
    """The time from which leases run now, by Redis' clock, and the tags that are no longer held."""

    at: float
    gone: list[str]


class ScriptConnection:
    """A connection for one thread.

    redis-py's clients repeat a command when the connection breaks, on a new connection that has lost the old one's
    state. A claim would then be made twice, and the messages of the first would wait until their leases expire.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._connection: Any = pool.get_connection()

    @classmethod
    @contextmanager
    def borrow(cls, pool: ConnectionPool) -> Iterator[Self]:
        """Take a connection from the pool for the time of a `with`."""
        connection = cls(pool)
        try:
            yield connection
        finally:
            connection.return_to_pool()

    def command(self, *words: str | int | float) -> Any:
        """Send a command and return its answer.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: it may have been executed, or not.
            redis.exceptions.ResponseError: Redis rejected it.
        """
        self._connection.send_command(*words, check_health=False)
        return self._connection.read_response()

    def run(self, script: LuaScript, keys: Sequence[str], arguments: Arguments) -> Any:
        """Run a script; send its text only if the server does not know it yet. Raises what `command` raises.

        A server that became a replica counts as a broken connection: the next connection leads to its master.
        """
        try:
            try:
                return self.command("EVALSHA", script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return self.command("EVAL", script.text, len(keys), *keys, *arguments)
        except ReadOnlyError as error:
            self.disconnect()
            raise ConnectionError(str(error)) from error

    def disconnect(self) -> None:
        """Close the connection; the next command opens another."""
        self._connection.disconnect()

    def return_to_pool(self) -> None:
        self._pool.release(self._connection)


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisKeys:
    """The keys in Redis, named by kombu's options. `prefix` precedes every key."""

    prefix: str
    unacked: str
    index: str
    dead_letters: str
    owner: str
    separator: str
    steps: tuple[int, ...]
    """Priorities that have a list of their own, the most urgent first."""

    def key(self, name: str) -> str:
        return self.prefix + name

    def list_of(self, queue: str, step: int) -> str:
        return self.key(f"{queue}{self.separator}{step}" if step else queue)


class QueueScripts:
    """The scripts with the options of one channel. `unacked` has the messages of all workers, ours and stock ones."""

    def __init__(
        self,
        keys: RedisKeys,
        *,
        lease: float,
        visibility_timeout: float,
        max_deliveries: int,
        claim_bytes: int,
        dead_letter_task: str,
    ) -> None:
        self._names = keys
        self._keys = [
            keys.key(keys.unacked),
            keys.key(keys.index),
            keys.key(f"{keys.unacked}_deliveries"),
            keys.key(keys.dead_letters),
            keys.key(keys.owner),
        ]
        self._claim_bytes = claim_bytes
        self._options = {
            "prefix": keys.prefix,
            "sep": keys.separator,
            "steps": keys.steps,
            "lease": lease,
            "visibility_timeout": visibility_timeout,
            "max_deliveries": max_deliveries,
            "claim_bytes": claim_bytes,
            "poison_suspect_after": POISON_SUSPECT_AFTER,
            "dead_letter_task": dead_letter_task,
        }
        self.own("")

    def own(self, store: str) -> None:
        """Claim and restore only where the queues belong to the store with this id, or to none; empty: everywhere."""
        self.store = store
        self._settings = json.dumps({**self._options, "store": store})

    @classmethod
    def of(cls, channel: Any) -> Self:
        """The scripts with the channel's options."""
        keys = RedisKeys(
            prefix=channel.global_keyprefix,
            unacked=channel.unacked_key,
            index=channel.unacked_index_key,
            dead_letters=channel.dead_letter_key,
            owner=channel.owner_key,
            separator=channel.sep,
            steps=tuple(channel.priority_steps),
        )
        return cls(
            keys,
            lease=channel.lease,
            visibility_timeout=channel.visibility_timeout,
            max_deliveries=channel.max_deliveries,
            claim_bytes=channel.claim_bytes,
            dead_letter_task=channel.dead_letter_task,
        )

    def claim(
        self,
        connection: ScriptConnection,
        queues: Sequence[str],
        *,
        room: int,
        allow_suspect: bool,
        acks: Sequence[str],
    ) -> Claim:
        """Acknowledge, then claim up to `room` messages: an equal share of each queue, urgent ones first, and fewer if
        they are large.

        allow_suspect: this worker holds nothing else, so a poison suspect may be claimed.
        """
        lists = [self._names.list_of(queue, step) for step in self._names.steps for queue in queues]
        limits: list[str | int] = [room, int(allow_suspect), self._claim_bytes, len(queues)]
        arguments: list[str | int] = [self._settings, self.store, *limits, *queues, *acks]
        state, at, *claimed = connection.run(_CLAIM, [*self._keys, *lists], arguments)
        if state == QueueState.FOREIGN.encode():
            return Claim(QueueState.FOREIGN, float(at), [], owner=claimed[0].decode(errors="replace"))
        messages = [
            ClaimedMessage(queues[number - 1], tag.decode(), raw)
            for number, tag, raw in zip(claimed[::3], claimed[1::3], claimed[2::3], strict=True)
        ]
        return Claim(QueueState(state.decode()), float(at), messages, owner="")

    def acknowledge(self, connection: ScriptConnection, tags: Sequence[str]) -> None:
        connection.run(_ACKNOWLEDGE, self._keys, [self._settings, *tags])

    def release(
        self, connection: ScriptConnection, tags: Sequence[str], *, delivered: bool, held_at: float | None = None
    ) -> None:
        """Put messages back so that the first of them is claimed next.

        delivered: a task may have started them.
        held_at: when Redis last confirmed, by its own clock, that they are ours. A worker that claimed one since then
            keeps it.
        """
        connection.run(_RELEASE, self._keys, [self._settings, int(delivered), held_at or "", *reversed(tags)])

    def requeue(self, connection: ScriptConnection, tags: Sequence[str], *, counted: bool) -> None:
        """Put messages at the end of their queues. `counted`: they may have killed their worker."""
        connection.run(_REQUEUE, self._keys, [self._settings, int(counted), *tags])

    def dead_letter(self, connection: ScriptConnection, tags: Sequence[str], code: DeadLetterCode) -> None:
        """Make dead letters of messages; `code` says why."""
        connection.run(_DEAD_LETTER, self._keys, [self._settings, code, *tags])

    def renew(self, connection: ScriptConnection, tags: Sequence[str]) -> Renewed:
        """Renew leases."""
        at, *gone = connection.run(_RENEW, self._keys, [self._settings, *tags])
        return Renewed(float(at), [tag.decode() for tag in gone])

    def restore(self, connection: ScriptConnection, limit: int) -> int:
        """Put back at most `limit` messages with an expired lease, fewer if they are large. Return the number."""
        return int(connection.run(_RESTORE, self._keys, [self._settings, limit]))
