"""Mistakes that a chaos run must notice, each with the run: in the fold, the store, the transport, the relay, in how
jobs are sent, and in how messages leave.

Some show only when something fails at the right time, so here it fails again and again.
"""

from __future__ import annotations

from typing import Final

from tests.mutations.mutants import CLAIM_SQL, DELIVERING, FOLD, REPORT_SQL, Defect

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

VANISHING: Final = ("--namespaces", "--faults", "lose-machine", "--every", "1", "--jobs", "1500", "--minutes", "0.3")
"""As root, on Linux."""

DROPPING: Final = (
    *("--retention", "--faults", "kill-maintenance", "--every", "0.7", "--jobs", "1500", "--minutes", "0.3"),
)
"""Old months, while maintenance dies."""

KILLING_SENDERS: Final = ("--faults", "kill-sender", "--every", "0.5", "--jobs", "800", "--minutes", "0.5")
LYING_SENDERS: Final = ("--faults", "lying-sender", "--every", "1", "--jobs", "800", "--minutes", "0.5")
SINK_AWAY: Final = ("--faults", "hang-sink,fail-sink", "--every", "0.5", "--jobs", "2400", "--minutes", "0.5")

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
        "months: a trigger older than the retention makes messages",
        f"{STORE}/late_triggers.py",
        "frozenset(id_ for id_, at in stamps.items() if at < start)",
        "frozenset()",
        chaos=DROPPING,
    ),
    Defect(
        "months: the engagements and deliveries of a month stay when it is dropped",
        f"{STORE}/history_months.py",
        '            if month.of_table == "messages":\n                self._forget_messages(month, limit)\n',
        "",
        chaos=(*DROPPING, "--within", "45"),
    ),
    Defect(
        "months: only the first month that is too old is dropped",
        f"{STORE}/history_months.py",
        "for month in select_months(cursor) if month.valid_to <= before]",
        "for month in select_months(cursor) if month.valid_to <= before and not month.valid_from]",
        chaos=(*DROPPING, "--within", "45"),
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
        "            return BatchResult(reported, str(error), timed_out=isinstance(error, StatementTimeout))\n",
        '            outcomes = []\n            reported += ["applied"] * len(jobs)\n',
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
        "if user_ids and (clusters or rows.ids_with_events):",
        "if user_ids and rows.ids_with_events:",
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
        "local ok, is_back = pcall(put_back, tag, how)\n",
        "local ok, is_back = pcall(remove, tag)\n    is_back = true\n",
        chaos=KILLING,
    ),
    Defect(
        "transport: a claimed message has no lease",
        f"{TRANSPORT}/scripts/claim.lua",
        "kept == 1 and redis.pcall('ZADD', index, now, own)\n",
        "kept\n",
        chaos=(*KILLING, *IN_TIME),
    ),
    Defect(
        "transport: a worker that is asked to stop drops what it holds",
        f"{TRANSPORT}/scripts/release.lua",
        "put_back(ARGV[n], {marked = ARGV[2] == '1'}) then released = released + 1 end\n",
        "remove(ARGV[n]) then end\n",
        chaos=STOPPING,
    ),
    Defect(
        "relay: what was sent is removed before it is finished",
        f"{OUTBOX}/relay.py",
        "found = self._finished_jobs.among(sent, outbox.read_bodies) if sent else NONE_FINISHED",
        "found = __import__('dataclasses').replace(NONE_FINISHED, jobs=frozenset(sent))",
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
        "sending: the HTTP server confirms a job that Redis did not take",
        "producer/rollbook/publishing/async_direct.py",
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
    Defect(
        "deliveries: a message on a second channel has none",
        f"{STORE}/deliveries.py",
        "        if (way := ways.get((workflow, name))) is None:",
        "        if (job_id, 'in_app') in together or (way := ways.get((workflow, name))) is None:",
        chaos=CALM,
    ),
    Defect(
        "deliveries: a claim locks nothing, so two senders have one",
        CLAIM_SQL,
        "        LIMIT part.most\n        FOR UPDATE SKIP LOCKED\n",
        "        LIMIT part.most\n",
        chaos=MANY,
    ),
    Defect(
        "deliveries: what is claimed has no lease, and stays with a sender that died",
        CLAIM_SQL,
        "            WHEN 'claimed' THEN now() + %(lease)s::double precision * interval '1 second'\n",
        "",
        chaos=(*KILLING_SENDERS, *IN_TIME),
    ),
    Defect(
        "deliveries: a lease ends when half of it is over",
        CLAIM_SQL,
        "            WHEN 'claimed' THEN now() + %(lease)s::double precision * interval '1 second'\n",
        "            WHEN 'claimed' THEN now() + %(lease)s::double precision * interval '0.5 seconds'\n",
        chaos=KILLING_SENDERS,
    ),
    Defect(
        "sessions: Postgres waits for hours for a machine that is gone",
        "shared/rollbook_shared/database/session.py",
        "_options({**defaults, **_SERVER_TCP_TIMEOUTS})",
        "_options(defaults)",
        chaos=(*VANISHING, "--within", "90"),
    ),
    Defect(
        "deliveries: a report counts whatever its claim",
        REPORT_SQL,
        "coalesce(reported.claim = d.claims, d.due_at > now())",
        "true",
        chaos=LYING_SENDERS,
    ),
    Defect(
        "deliveries: what was sent fails, if its sender says so later",
        REPORT_SQL,
        "OR (reported.outcome = 'failed' AND reported.permanent)",
        "OR reported.outcome = 'failed'",
        chaos=LYING_SENDERS,
    ),
    Defect(
        "deliver: an attempt that was cut off counts as sent",
        f"{DELIVERING}/attempt.py",
        '        return Failed(reason=f"it was not handed over within {sender.timeout:g} s")\n',
        "        from rollbook_delivery.results import Sent\n\n        return Sent()\n",
        chaos=SINK_AWAY,
    ),
    Defect(
        "deliver: a webhook that fails has taken the message",
        "worker/rollbook_delivery/senders/webhook.py",
        "    if 200 <= status < 300:\n        return _accepted",
        "    if 200 <= status < 300 or status == 500:\n        return _accepted",
        chaos=SINK_AWAY,
    ),
)
