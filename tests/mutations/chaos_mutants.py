"""Mistakes that a chaos run must notice, each with the run: in the fold, the store, the transport, the relay, and in
how jobs are sent.

Some show only when something fails at the right moment, so here it fails again and again.
"""

from __future__ import annotations

from typing import Final

from tests.mutations.mutants import FOLD, Defect

STORE: Final = "worker/rollbook_worker/store"
TRANSPORT: Final = "worker/rollbook_worker/celery_ext/transport"
OUTBOX: Final = "producer/rollbook_ops/relay"

CALM: Final = ("--faults", "none", "--jobs", "800", "--minutes", "0.1")
AT_ONCE: Final = ("--faults", "none", "--jobs", "3000", "--minutes", "0.03")
"""More than workers apply one by one: in batches."""
MANY: Final = ("--faults", "none", "--jobs", "8000", "--minutes", "0.1")
KILLING: Final = ("--faults", "kill-worker", "--every", "0.8", "--jobs", "2500", "--minutes", "0.4")
KILLING_LONGER: Final = ("--faults", "kill-worker", "--every", "0.8", "--jobs", "5000")
"""For what is lost once in some fifty deaths."""
STOPPING: Final = ("--faults", "stop-worker", "--every", "1", "--jobs", "2500", "--minutes", "0.3")
DISPATCHING: Final = ("--faults", "kill-maintenance", "--every", "1", "--jobs", "1500", "--minutes", "0.4")
POSTGRES_AWAY: Final = ("--faults", "crash-postgres,full-disk,cut-postgres", "--jobs", "1500", "--minutes", "0.3")
VALKEY_AWAY: Final = ("--faults", "stall-valkey", "--every", "2", "--jobs", "4000", "--minutes", "0.4")
FORGETFUL: Final = ("--faults", "lose-valkey", "--every", "1", "--jobs", "1500", "--minutes", "0.15")

IN_TIME: Final = ("--within", "45")
"""For what leaves something undone for ever: seen sooner."""

UNDER_FIRE: Final[tuple[Defect, ...]] = (
    Defect(
        "core: the facts of a cluster are read as they came, not by their stamps",
        f"{FOLD}/projection.py",
        "for fact in sorted(of_users, key=lambda fact: (fact.stamp, not isinstance(fact, UserIdentified))):",
        "for fact in of_users:",
        chaos=CALM,
    ),
    Defect(
        "fold: all of the history comes along in a merge, not 30 days",
        f"{FOLD}/projection.py",
        "valid_from=max(change.valid_from, kept_from), owner=primary_id",
        "owner=primary_id",
        chaos=CALM,
    ),
    Defect(
        "fold: a delete follows a merged-away id",
        f"{FOLD}/projection.py",
        "            return  # writes follow a merged-away id, deletes and merges do not\n",
        "            fact = fact._replace(user_id=self._canonical_ids[fact.user_id])\n",
        chaos=CALM,
    ),
    Defect(
        "store: a Postgres that is away is taken for the job's fault",
        "worker/rollbook_worker/store/retry.py",
        "if isinstance(error, psycopg.Error) and not isinstance(error, _UNSTORABLE):",
        "if isinstance(error, ConnectionError):",
        chaos=POSTGRES_AWAY,
    ),
    Defect(
        "store: jobs that could not be applied are said to be",
        "worker/rollbook_worker/tasks.py",
        "                return BatchResult(outcomes, str(error), timed_out=isinstance(error, StatementTimeout))\n",
        '                applied = []\n                outcomes += ["applied"] * len(jobs)\n',
        chaos=POSTGRES_AWAY,
    ),
    Defect(
        "store: a deferred job is released and not applied",
        f"{STORE}/deferred_jobs.py",
        "            jobs.append(job)\n",
        "            pass\n",
        chaos=DISPATCHING,
    ),
    Defect(
        "store: a user that joined a cluster meanwhile is not recomputed with it",
        f"{STORE}/fact_writer.py",
        "if rows.users and (clusters or rows.ids_with_events):",
        "if rows.users and rows.ids_with_events:",
        chaos=CALM,
    ),
    Defect(
        "store: of values in one batch, the one that arrives last stands",
        f"{STORE}/rows.py",
        "elif part.key not in newest or newest[part.key].stamp < part.stamp:",
        "else:",
        chaos=AT_ONCE,
    ),
    Defect(
        "store: an engagement that arrives last stands, not the one stamped last",
        f"{STORE}/sql/history.sql",
        "ON CONFLICT (message_id, engagement, user_id) DO UPDATE SET\n"
        "    stamp = excluded.stamp,\n"
        "    is_set = excluded.is_set\n"
        "WHERE e.stamp < excluded.stamp",
        "ON CONFLICT (message_id, engagement, user_id) DO UPDATE SET\n"
        "    stamp = excluded.stamp,\n"
        "    is_set = excluded.is_set\n"
        "WHERE true",
        chaos=MANY,
    ),
    Defect(
        "transport: Celery's own, which pops a message before it notes who has it",
        "shared/rollbook_shared/settings.py",
        "] = TransportKind.ROLLBOOK",
        "] = TransportKind.STOCK",
        chaos=KILLING_LONGER,
    ),
    Defect(
        "transport: a message is acknowledged when it is delivered",
        f"{TRANSPORT}/channel.py",
        "            self.qos.append(message, claimed.tag)\n",
        "            self.qos.append(message, claimed.tag)\n            self.qos.acknowledge(claimed.tag)\n",
        chaos=KILLING,
    ),
    Defect(
        "transport: what a worker held that is gone is dropped, not put back",
        f"{TRANSPORT}/scripts/restore.lua",
        "    if put_back(tag, how) then\n",
        "    if remove(tag) or true then\n",
        chaos=KILLING,
    ),
    Defect(
        "transport: a claimed message has no lease",
        f"{TRANSPORT}/scripts/claim.lua",
        "  redis.call('ZADD', index, now, own)\n",
        "",
        chaos=(*KILLING, *IN_TIME),
    ),
    Defect(
        "transport: a worker that is told to stop drops what it holds",
        f"{TRANSPORT}/scripts/release.lua",
        "put_back(ARGV[n], {marked = ARGV[2] == '1'}) then released = released + 1 end\n",
        "remove(ARGV[n]) then end\n",
        chaos=STOPPING,
    ),
    Defect(
        "relay: what was sent is removed before it is finished",
        f"{OUTBOX}/relay.py",
        "finished = self._finished_jobs.among(keys, partial(read_bodies, cursor)) if keys else set()",
        "finished = set(keys)",
        chaos=FORGETFUL,
    ),
    Defect(
        "relay: what was sent is never sent again",
        f"{OUTBOX}/relay.py",
        "resend=self._resend) if unfinished",
        "resend=self._resend * 1_000) if unfinished",
        chaos=(*FORGETFUL, *IN_TIME),
    ),
    Defect(
        "sending: a job that Redis did not take is said to be sent",
        "producer/rollbook/publishing/direct.py",
        "            raise NotSent(job.id, safe_reason(error)) from error\n",
        "            return\n",
        chaos=VALKEY_AWAY,
    ),
    Defect(
        "sending: a buffer forgets a batch that Redis did not take",
        "producer/rollbook/publishing/buffered.py",
        "                self._send(batch.job())\n",
        "                try:\n                    self._send(batch.job())\n"
        "                except Unavailable:\n                    pass\n",
        chaos=VALKEY_AWAY,
    ),
)
