"""Mistakes that somebody could make in good faith, each with the tests that must notice it.

A test that cannot fail proves nothing. `./run python -m tests.mutations.run` makes each of these mistakes, one at a
time, in a copy of the sources, and runs the tests named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FOLD: Final = "worker/rollbook_worker/core"
SHARED: Final = "shared/rollbook_shared"
STORE: Final = "worker/rollbook_worker/store"
BATCHING: Final = "worker/rollbook_worker/celery_ext/batching"
TRANSPORT: Final = "worker/rollbook_worker/celery_ext/transport"
SENDING: Final = "producer/rollbook/publishing"
RULES: Final = "tests/rules"
MESSAGES: Final = ("tests/producer/test_celery_messages.py",)
GATHERING: Final = ("tests/batching/test_scheduler.py",)
STRATEGY: Final = ("tests/batching/test_strategy.py",)
EXECUTING: Final = ("tests/batching/test_execution.py",)
FOLLOWING: Final = ("tests/tracing/test_batch_traces.py",)
TRACED_OUTBOX: Final = ("tests/tracing/test_outbox.py",)
LOGS: Final = ("tests/tracing/test_logs.py",)
CLAIMING: Final = ("tests/transport/test_claims.py",)
GIVING_BACK: Final = ("tests/transport/test_release.py",)
LETTERS: Final = ("tests/transport/test_dead_letters.py",)
ERASING: Final = ("tests/store/test_blocked_erasure.py",)
HELD_UP: Final = ("tests/store/test_blocked_deferred_jobs.py",)
GIVING_BACK_LATE: Final = ("tests/transport/test_release_after_outage.py",)
PUTTING_OFF: Final = ("tests/transport/test_snooze.py",)
LEASES: Final = ("tests/transport/test_leases.py",)
FORGETTING: Final = ("tests/store/test_retention.py",)
LATE_JOBS: Final = ("tests/store/test_late_jobs.py",)
QUERIES: Final = "producer/rollbook/queries"
USER_LISTS: Final = ("tests/producer/test_users.py", "tests/producer/test_user_list_laws.py")
JOB_LISTS: Final = ("tests/producer/test_job_list.py",)


@dataclass(frozen=True, slots=True)
class Defect:
    """In `file`, `right` (there once) becomes `wrong`; pytest with `tests` must then fail, or a chaos run."""

    what: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...] = (RULES,)
    chaos: tuple[str, ...] = ()
    """Arguments of `benchmarks.chaos`, for a mistake that a chaos run is to notice instead."""


DEFECTS: Final[tuple[Defect, ...]] = (
    Defect(
        "rule 3: the value that arrives last stands, not the one stamped last",
        f"{FOLD}/join.py",
        "kept is None or kept.stamp < fact.stamp",
        "True",
    ),
    Defect(
        "rule 3: a null does not overwrite",
        f"{FOLD}/projection.py",
        'if fact.value is None and fact.key[0] in "sc":',
        "if fact.value is None:",
    ),
    Defect(
        "rule 7: taking a preference set away makes a user",
        f"{FOLD}/decomposition.py",
        'yield ProfileKeySet(at, job.user_id, f"s.{job.set_id}", None)',
        'yield from _key_set(job.user_id, f"s.{job.set_id}", None, at)',
    ),
    Defect(
        "rule 30: a change of single keys replaces the set",
        f"{SHARED}/domain/preferences.py",
        "updated = dict(settings or {})",
        "updated: dict[str, Any] = {}",
    ),
    Defect(
        "rule 30: a change of a key takes the other keys of its section away",
        f"{SHARED}/domain/preferences.py",
        "{**updated.pop(section, {}), **values}",
        "{**({} if updated.pop(section, {}) else {}), **values}",
    ),
    Defect(
        "rule 30: taking a key away makes a set",
        f"{SHARED}/domain/preferences.py",
        "return updated if updated or settings is not None else None",
        "return updated",
    ),
    Defect(
        "rule 30: of the changes of one set only the newest is kept",
        f"{FOLD}/facts.py",
        'return ("preferences updated", self.user_id, self.set_id, self.stamp)',
        'return ("preferences updated", self.user_id, self.set_id)',
    ),
    Defect(
        "rule 30: a set that arrives late does not change what later single keys made of it",
        f"{STORE}/preference_sets.py",
        'update_changed_sets(cursor, {version["user_id"] for version in versions})',
        'update_changed_sets(cursor, {version["user_id"] for version in versions if version.get("changes")})',
        ("tests/store/test_contract.py",),
    ),
    Defect(
        "rule 30: what single keys made of a set stays as it was when an erased user's versions are deleted",
        f"{STORE}/erasure.py",
        "    update_changed_sets(cursor, erased)\n",
        "",
        ("tests/store/test_erasure.py",),
    ),
    Defect(
        "rule 31: a token that is added replaces the others",
        f"{SHARED}/domain/push_tokens.py",
        "return _data([*tokens, token], [*devices, *known], others)",
        "return _data([token], [*devices, *known], others)",
    ),
    Defect(
        "rule 31: the last token leaves an empty channel",
        f"{SHARED}/domain/push_tokens.py",
        "return _data(*_parts(data, token)) or None",
        "return _data(*_parts(data, token))",
    ),
    Defect(
        "rule 31: of the changes of one channel only the newest is kept",
        f"{FOLD}/facts.py",
        'return ("push token", self.user_id, self.channel_id, self.stamp)',
        'return ("push token", self.user_id, self.channel_id)',
    ),
    Defect(
        "rule 31: in Postgres, data that was set whole does not void older tokens",
        "worker/rollbook_worker/migrations/versions/0001_schema.py",
        "                CASE WHEN profile ? ('c.' || c.channel_id) THEN base_stamp ELSE '' END\n",
        "                ''\n",
        ("tests/store/test_contract.py",),
    ),
    Defect(
        "rule 31: a change of a token is dropped although a merge may still ask for it",
        f"{STORE}/sql/push_tokens.sql",
        "            AND later.stamp < %(horizon)s\n",
        "",
        ("tests/store/test_retention.py",),
    ),
    Defect(
        "rule 33: what another user marks overwrites the owner's mark",
        f"{FOLD}/facts.py",
        'return ("engagement", str(self.message_id), self.engagement, self.user_id or "")',
        'return ("engagement", str(self.message_id), self.engagement)',
    ),
    Defect(
        "rule 33: the user that a mark names is forgotten",
        f"{FOLD}/decomposition.py",
        "id_, name, is_set, job.user_id)",
        "id_, name, is_set)",
    ),
    Defect(
        "rule 33: in Postgres, what another user marked counts",
        "worker/rollbook_worker/migrations/versions/0001_schema.py",
        "                                AND own.owner = of_owner\n",
        "",
        ("tests/store/test_contract.py",),
    ),
    Defect(
        "rule 33: in a feed, what another user marked counts",
        "producer/rollbook/queries/sql/messages.sql",
        "                    WHERE mine.user_id = engagements.user_id\n"
        "                        AND engagements.stamp >= mine.valid_from\n",
        "                    WHERE engagements.stamp >= mine.valid_from\n",
        ("tests/producer/test_messages.py",),
    ),
    Defect(
        "rule 33: what erased users marked of others' messages is left",
        f"{STORE}/erasure.py",
        '        "engagements": _ERASURE["delete_engagements"],\n',
        "",
        ("tests/store/test_erasure.py",),
    ),
    Defect(
        "rule 34: interacted does not set read",
        f"{FOLD}/decomposition.py",
        '        yield "read", True\n',
        '        yield "interacted", True\n',
    ),
    Defect(
        "rule 34: marking all marks what is addressed to the id that is named, and not the other ids of the user",
        f"{FOLD}/projection.py",
        "        for id_ in self._ids.get(canonical_id, [canonical_id]):\n            self._channel_engagements",
        "        for id_ in [fact.user_id]:\n            self._channel_engagements",
    ),
    Defect(
        "rule 34: a user's marking of all is not followed to the ids that merged into it",
        f"{STORE}/clusters.py",
        "    _write_channel_engagements(cursor, found.ids, engagements)\n",
        "",
        ("tests/store/test_contract.py",),
    ),
    Defect(
        "rule 34: in a feed, marking all marks messages that occur later",
        "worker/rollbook_worker/migrations/versions/0001_schema.py",
        'CASE WHEN of_all COLLATE "C" > message_stamp COLLATE "C" THEN of_all COLLATE "C" END',
        'of_all COLLATE "C"',
        ("tests/producer/test_feed_laws.py",),
    ),
    Defect(
        "rule 34: of marking all, the one that arrives last stands",
        f"{STORE}/sql/history.sql",
        "ON CONFLICT (user_id, channel, engagement) DO UPDATE SET\n"
        "    stamp = excluded.stamp,\n"
        "    is_set = excluded.is_set\n"
        "WHERE e.stamp < excluded.stamp",
        "ON CONFLICT (user_id, channel, engagement) DO UPDATE SET\n"
        "    stamp = excluded.stamp,\n"
        "    is_set = excluded.is_set\n"
        "WHERE true",
        ("tests/store/test_contract.py",),
    ),
    Defect(
        "rule 7: receipts are read before the users are locked",
        f"{STORE}/postgres.py",
        "            locked = write(cursor, facts, history=self._history, horizon=horizon, roots=roots)\n"
        "            late_before = stamp_floor(now - self._erasure_delay // LATE_FRACTION)\n"
        "            if late := [fact for fact in facts if fact.stamp < late_before]:\n",
        "            earliest = earliest_stamps(fact for fact in facts if fact.stamp < horizon)\n"
        "            facts += restore_tombstones(cursor, earliest, key=self._erasure_key)\n"
        "            write(cursor, facts, history=self._history, horizon=horizon, roots=roots)\n"
        "            if False:\n",
        LATE_JOBS,
    ),
    Defect(
        "rule 7: maintenance is trusted to have the worker's clock",
        f"{STORE}/postgres.py",
        "if fact.stamp < late_before]",
        "if fact.stamp < horizon]",
        LATE_JOBS,
    ),
    Defect(
        "rule 8: rows are made before the inline users",
        f"{FOLD}/decomposition.py",
        "return stamp(job.occurred_at, job.id, len(job.recipients) + 1)",
        "return stamp(job.occurred_at, job.id, 0)",
    ),
    Defect(
        "rule 8: a deleted user is still sent messages",
        f"{FOLD}/projection.py",
        "changes.append(_OwnershipChange(fact.stamp, None, False))",
        "changes.append(_OwnershipChange(fact.stamp, fact.user_id, True))",
    ),
    Defect(
        "rule 11: a late trigger leaves the id of an erased recipient",
        f"{STORE}/tombstones.py",
        "            return (recipient,)\n",
        "            return ()\n",
        LATE_JOBS,
    ),
    Defect(
        "rule 11: a late trigger leaves the id of an erased actor",
        f"{STORE}/tombstones.py",
        "            return (actor,)\n",
        "            return ()\n",
        LATE_JOBS,
    ),
    Defect(
        "rule 11: a late trigger does not wait for the erasure of its recipients",
        f"{STORE}/postgres.py",
        "                    lock_clusters_of(cursor, others)",
        "                    pass",
        LATE_JOBS,
    ),
    Defect(
        "rule 12: in a merge the secondary's values win",
        f"{SHARED}/domain/merge.py",
        "merged = {**secondary, **primary}",
        "merged = {**primary, **secondary}",
    ),
    Defect(
        "rule 12: an attribute that is null is not filled",
        f"{SHARED}/domain/merge.py",
        "if value is not None},",
        "},",
    ),
    Defect(
        "rule 13: the secondary's preference sets win",
        f"{SHARED}/domain/merge.py",
        "return {**secondary, **primary, **shared}",
        "return {**primary, **secondary}",
    ),
    Defect(
        "rule 14: all of the history comes along, not 30 days",
        f"{FOLD}/projection.py",
        "valid_from=max(change.valid_from, kept_from), owner=primary_id",
        "owner=primary_id",
    ),
    Defect(
        "rule 14: the edge of the window is a microsecond off",
        f"{FOLD}/projection.py",
        "stamp_floor(occurred_at_of(fact.stamp) - self._history)",
        "stamp_floor(occurred_at_of(fact.stamp) - self._history + 1)",
    ),
    Defect(
        "rule 16: a delete follows a merged-away id",
        f"{FOLD}/projection.py",
        "            return  # writes follow a merged-away id, deletes and merges do not\n",
        "            fact = fact._replace(user_id=self._canonical_ids[fact.user_id])\n",
    ),
    Defect(
        "rule 16: deleting the primary does not free its merged-away ids",
        f"{FOLD}/projection.py",
        "self._canonical_ids.pop(id_, None)",
        "pass",
    ),
    Defect(
        "rule 17: a second merge of one secondary takes effect",
        f"{FOLD}/projection.py",
        "if fact.secondary_id in self._canonical_ids or primary_id == fact.secondary_id:",
        "if primary_id == fact.secondary_id:",
    ),
    Defect(
        "rule 17: a merge does not see that its primary was merged away",
        f"{FOLD}/projection.py",
        "primary_id = self._canonical_ids.get(fact.primary_id, fact.primary_id)",
        "primary_id = fact.primary_id",
    ),
    Defect(
        "rule 19: one setting that says yes is enough",
        f"{SHARED}/reference/preferences.py",
        'and settings.get("channel_types", {}).get(channel, True) is not False',
        'or settings.get("channel_types", {}).get(channel, False) is True',
    ),
    Defect(
        "rule 20: channel data are put together, not replaced",
        f"{FOLD}/decomposition.py",
        'yield from _key_set(job.user_id, f"c.{job.channel_id}", job.data, at)',
        'yield from (ProfileKeySet(at, job.user_id, f"c.{job.channel_id}", {**job.data}), )',
    ),
    Defect(
        "rule 21: a recipient named twice gets two activities",
        f"{SHARED}/domain/deterministic_ids.py",
        'return uuid.uuid5(_NAMESPACE, f"{job_id}/{recipient}")',
        "return uuid.uuid4()",
    ),
    Defect(
        "rule 25: a job is taken for one whose row is gone",
        f"{STORE}/inbox.py",
        "        known |= _digests(cursor, unfinished - new)",
        "        known |= {id_: first[id_].digest for id_ in unfinished - new} | _digests(cursor, unfinished - new)",
        FORGETTING,
    ),
    Defect(
        "batching: jobs are acknowledged when they begin",
        f"{BATCHING}/runner.py",
        "                    job.request.on_accepted(pid, at)",
        "                    job.request.on_accepted(pid, at)\n                    job.request.acknowledge()",
        STRATEGY,
    ),
    Defect(
        "batching: the jobs of a batch that failed are acknowledged",
        f"{BATCHING}/runner.py",
        "            case BatchEnded():",
        "            case BatchEnded():\n                [job.request.acknowledge() for job in event.jobs]",
        STRATEGY,
    ),
    Defect(
        "batching: the jobs of a batch that failed are forgotten",
        f"{BATCHING}/scheduler.py",
        "        self._individual.append(job)",
        "        pass",
        (*GATHERING, *STRATEGY),
    ),
    Defect(
        "batching: a batch is submitted while the worker stops",
        f"{BATCHING}/runner.py",
        "        elif self._is_running:",
        "        elif True:",
        STRATEGY,
    ),
    Defect(
        "batching: what ends while the worker stops is not acknowledged",
        f"{BATCHING}/runner.py",
        "        while self._happened:",
        "        while self._happened and self._is_running:",
        STRATEGY,
    ),
    Defect(
        "batching: after a reconnection the old line goes on",
        f"{BATCHING}/runner.py",
        "            self._scheduler.clear()",
        "            self._follow_decisions()",
        STRATEGY,
    ),
    Defect(
        "batching: jobs revoked while they wait are applied",
        f"{BATCHING}/runner.py",
        "if job.request.revoked()]",
        "if False]",
        STRATEGY,
    ),
    Defect(
        "batching: the store is asked again without a pause",
        f"{BATCHING}/scheduler.py",
        "            self._pausing = True",
        "            self._pausing = False",
        GATHERING,
    ),
    Defect(
        "batching: the first of those held while the store is away is lost",
        f"{BATCHING}/scheduler.py",
        "            self._put_back(jobs)",
        "            self._put_back(jobs[1:])",
        (*GATHERING, *STRATEGY),
    ),
    Defect(
        "batching: a job that may have killed its worker is given company again",
        f"{BATCHING}/scheduler.py",
        "            if following.isolated or size",
        "            if size",
        GATHERING,
    ),
    Defect(
        "batching: those for whom there was no time are lost",
        f"{BATCHING}/runner.py",
        "finished=finished, unfinished=rest)",
        "finished=finished)",
        STRATEGY,
    ),
    Defect(
        "batching: one transaction, however many users the jobs name",
        "worker/rollbook_worker/tasks.py",
        "        if together and users > MAX_TRANSACTION_USERS:",
        "        if False:",
        EXECUTING,
    ),
    Defect(
        "batching: a store that goes away in between takes those before along",
        "worker/rollbook_worker/tasks.py",
        "                return BatchResult(outcomes, str(error),",
        "                return BatchResult([], str(error),",
        EXECUTING,
    ),
    Defect(
        "transport: a second message under one tag takes the place of the first",
        f"{TRANSPORT}/scripts/claim.lua",
        "  while redis.call('HSETNX', unacked, own, entry_of(raw, names[queue])) == 0 do",
        "  redis.call('HSET', unacked, own, entry_of(raw, names[queue]))\n  while false do",
        CLAIMING,
    ),
    Defect(
        "transport: two messages under one tag change their names as they change hands",
        f"{TRANSPORT}/scripts/claim.lua",
        "  if #tag == UUID_LENGTH then return tag end\n",
        "  if #tag > 0 then return tag end\n",
        CLAIMING,
    ),
    Defect(
        "transport: a claim takes as many as it may, however large they are",
        f"{TRANSPORT}/scripts/claim.lua",
        " or bytes >= settings.claim_bytes",
        "",
        CLAIMING,
    ),
    Defect(
        "transport: what a worker holds is counted, and not weighed",
        f"{TRANSPORT}/channel.py",
        " or self.qos.bytes >= self.in_flight_bytes",
        "",
        CLAIMING,
    ),
    Defect(
        "transport: the first of the queues always comes first",
        f"{TRANSPORT}/prefetch_buffer.py",
        "self._turn = (self._turn + 1) % len(queues)",
        "self._turn = 0",
        CLAIMING,
    ),
    Defect(
        "transport: acknowledgements that met a broken connection are forgotten",
        f"{TRANSPORT}/in_flight.py",
        "        self._pending.acks.extendleft(reversed(tags))",
        "        pass",
        CLAIMING,
    ),
    Defect(
        "transport: leases are not renewed",
        f"{TRANSPORT}/lease_renewal.py",
        "for tag, since in self._since.items() if since >= oldest]",
        "for tag, since in self._since.items() if since < oldest]",
        LEASES,
    ),
    Defect(
        "transport: what goes back, goes in the opposite order",
        f"{TRANSPORT}/queue_scripts.py",
        "*reversed(tags)",
        "*tags",
        GIVING_BACK,
    ),
    Defect(
        "transport: what is claimed just when its queue is cancelled is forgotten",
        f"{TRANSPORT}/channel.py",
        "                self.qos.release_undelivered(queue)\n                continue",
        "                buffer.messages.popleft()\n                continue",
        GIVING_BACK,
    ),
    Defect(
        "transport: all of a lost worker's messages are put back in one step, however large",
        f"{TRANSPORT}/scripts/restore.lua",
        "    if restored > 0 and bytes >= settings.claim_bytes then return restored end\n",
        "",
        GIVING_BACK,
    ),
    Defect(
        "transport: what is rejected for others to try is not counted",
        f"{TRANSPORT}/scripts/requeue.lua",
        "counted = ARGV[2] == '1', ",
        "",
        LETTERS,
    ),
    Defect(
        "transport: what could not be given back is left to the end of its lease",
        f"{TRANSPORT}/in_flight.py",
        "            self._pending.releases.append(PendingRelease(tags, delivered, self.leases.held_at))",
        "            pass",
        GIVING_BACK_LATE,
    ),
    Defect(
        "transport: what is given back late is taken from who has it now",
        f"{TRANSPORT}/scripts/release.lua",
        "  return since and tonumber(since) > held_at",
        "  return false",
        GIVING_BACK_LATE,
    ),
    Defect(
        "transport: what is done by now is given back late all the same",
        f"{TRANSPORT}/in_flight.py",
        "                self.send_acks(connection)  # what is done by now must not go back\n",
        "",
        GIVING_BACK_LATE,
    ),
    Defect(
        "transport: a message is put off for ever",
        f"{TRANSPORT}/channel.py",
        "        self.qos.requeue_snoozed()\n",
        "",
        PUTTING_OFF,
    ),
    Defect(
        "transport: an outage counts against the messages that wait for its end",
        f"{TRANSPORT}/in_flight.py",
        "counted=False",
        "counted=True",
        PUTTING_OFF,
    ),
    Defect(
        "a job that can be neither applied nor sent again counts as one that ends its workers",
        "worker/rollbook_worker/celery_ext/request.py",
        "        if snooze and isinstance(error, Reject)",
        "        if False and isinstance(error, Reject)",
        ("tests/timeouts/test_both_servers_down.py",),
    ),
    Defect(
        "a job that meets a mistake in the code is acknowledged",
        "worker/rollbook_worker/app.py",
        "        task_acks_on_failure=False,\n",
        "",
        ("tests/timeouts/test_unexpected_errors.py",),
    ),
    Defect(
        "transport: a worker that stops counts against its messages",
        f"{TRANSPORT}/scripts/release.lua",
        "{marked = ",
        "{counted = true, marked = ",
        LETTERS,
    ),
    Defect(
        "transport: a message that may end its worker is given company",
        f"{TRANSPORT}/scripts/claim.lua",
        "    if not allow_suspect or #claimed > 2 then return false end\n",
        "",
        LETTERS,
    ),
    Defect(
        "a job that met the time limit is acknowledged",
        "worker/rollbook_worker/app.py",
        "task_acks_on_timeout=False",
        "task_acks_on_timeout=True",
        ("tests/timeouts/test_time_limit.py",),
    ),
    Defect(
        "a job sent twice is one message to acknowledge",
        f"{SENDING}/celery_message.py",
        "str(uuid.uuid4())",
        "job.id",
        MESSAGES,
    ),
    Defect(
        "tracers are not asked for their headers",
        f"{SENDING}/celery_message.py",
        'if (before := _signal("before_task_publish")) is not None:',
        "if False:",
        MESSAGES,
    ),
    Defect(
        "jobs sent together arrive in the opposite order",
        f"{SENDING}/direct.py",
        "[message.text for message in messages]",
        "[message.text for message in messages[::-1]]",
        MESSAGES,
    ),
    Defect(
        "a connection whose answer nobody read is used again",
        f"{SENDING}/redis.py",
        "connection.disconnect()",
        "self._idle.append(connection)",
        ("tests/producer/test_broker_failures.py",),
    ),
    Defect(
        "of several brokers only the first is tried",
        f"{SENDING}/redis.py",
        "self._endpoints = (*self._endpoints[1:], self._endpoints[0])",
        "pass",
        ("tests/producer/test_broker_urls.py",),
    ),
    Defect(
        "a broker's certificate is not checked although its URL asks for it",
        f"{SHARED}/broker_url.py",
        "options[name] = _CERTIFICATE_CHECKS[value]",
        "options[name] = ssl.CERT_NONE",
        ("tests/shared/test_broker_url.py",),
    ),
    Defect(
        "a broker's password is taken as it is quoted in the URL",
        f"{SHARED}/broker_url.py",
        'unquote(url.password or "")',
        '(url.password or "")',
        ("tests/shared/test_broker_url.py",),
    ),
    Defect(
        "the client imports Celery",
        f"{SENDING}/celery_message.py",
        'sys.modules.get("celery.signals")',
        '__import__("celery.signals").signals',
        ("tests/producer/test_direct_publisher.py",),
    ),
    Defect(
        "users are gathered into a job that no worker takes",
        "producer/rollbook/publishing/buffered.py",
        " or batch.size >= _BATCH_BYTES",
        "",
        ("tests/producer/test_buffered_client.py",),
    ),
    Defect(
        "a job's span begins a trace of its own",
        "worker/rollbook_worker/observability/tracing.py",
        "context=publisher.context,",
        "context=None,",
        FOLLOWING,
    ),
    Defect(
        "a job's span begins when it is decided",
        "worker/rollbook_worker/observability/tracing.py",
        "start_time=publisher.received,",
        "start_time=None,",
        FOLLOWING,
    ),
    Defect(
        "a span quotes what an exception says",
        f"{SHARED}/observability/tracing.py",
        "span.set_status(StatusCode.ERROR, reason or kind)",
        "span.set_status(StatusCode.ERROR, reason or str(error))",
        FOLLOWING,
    ),
    Defect(
        "a traced job is written into a table without the column",
        "producer/rollbook/publishing/outbox_insert.py",
        "self._has_trace_column = self._transaction.has_rows(_HAS_TRACE_COLUMN)",
        "self._has_trace_column = True",
        TRACED_OUTBOX,
    ),
    Defect(
        "the relay forgets the trace that a job was written in",
        "producer/rollbook_ops/relay/outbox_table.py",
        "body=body, trace=trace)",
        "body=body, trace=None)",
        TRACED_OUTBOX,
    ),
    Defect(
        "lines of JSON show whatever a record carries",
        f"{SHARED}/observability/logs.py",
        "for name in FIELDS if (value := getattr(record, name, None)) is not None}",
        "for name in vars(record) if (value := getattr(record, name, None)) is not None}",
        LOGS,
    ),
    Defect(
        "a user who cannot be erased keeps the others waiting",
        f"{STORE}/cleanup.py",
        "if is_outage(error):",
        "if True:",
        ERASING,
    ),
    Defect(
        "erasure begins with those it has just passed over",
        f"{STORE}/cleanup.py",
        "self._scanned_to = page[-1][1] if len(page) == limit else stamp_floor(0)",
        "self._scanned_to = stamp_floor(0)",
        ERASING,
    ),
    Defect(
        "erasure, once at the end, never begins again",
        f"{STORE}/cleanup.py",
        "self._scanned_to = page[-1][1] if len(page) == limit else stamp_floor(0)",
        "self._scanned_to = page[-1][1] if page else after",
        ERASING,
    ),
    Defect(
        "a blocked deferred job makes the others late",
        "worker/rollbook_worker/store/due_jobs.py",
        "return sum(self.release_due(now=now, limit=1) for _ in locked)",
        "raise",
        HELD_UP,
    ),
    Defect(
        "a blocked deferred job is taken again and again",
        "worker/rollbook_worker/store/due_jobs.py",
        "limit=limit, but=list(self._blocked))",
        "limit=limit, but=[])",
        HELD_UP,
    ),
    Defect(
        "deferred jobs wait for one as long as a statement may take",
        "worker/rollbook_worker/store/due_jobs.py",
        "self._statement = min(statement, FIRST_TRY_STATEMENT_TIMEOUT)",
        "self._statement = statement",
        HELD_UP,
    ),
    Defect(
        "a deferred job is given up for a lock",
        "worker/rollbook_worker/store/due_jobs.py",
        "if isinstance(error, StatementTimeout):",
        "if isinstance(error, Blocked):",
        HELD_UP,
    ),
    Defect(
        "an outage counts against a deferred job",
        "worker/rollbook_worker/store/due_jobs.py",
        "if is_outage(error) or not locked:",
        "if not locked:",
        HELD_UP,
    ),
    Defect(
        "a deferred job that always takes too long is tried for ever",
        "worker/rollbook_worker/store/due_jobs.py",
        "if attempts_exhausted(times, self._max_attempts):",
        "if False:",
        HELD_UP,
    ),
    Defect(
        "a blocked job that another dispatcher tries is forgotten",
        "worker/rollbook_worker/store/due_jobs.py",
        "for id_ in set(ids) - set(remaining):",
        "for id_ in ids:",
        HELD_UP,
    ),
    Defect(
        "deferred jobs are late by the longest pause when Postgres is back",
        "worker/rollbook_worker/maintenance/periodic.py",
        "stopped.wait(task.backoff.delay(failures))",
        "stopped.wait(RETRY.delay(failures))",
        ("tests/store/test_maintenance.py",),
    ),
    Defect(
        "rule 35: the user before an empty page is lost on the way back",
        f"{QUERIES}/user_list.py",
        '("=" if cursor.inclusive else "")',
        '""',
        USER_LISTS,
    ),
    Defect(
        "rule 35: a user with a prefix in both is listed by e-mail address and by name",
        f"{QUERIES}/user_filter.py",
        'Range(by_name, "name_key", neither)',
        'Range(by_name, "name_key", not_by_id)',
        USER_LISTS,
    ),
    Defect(
        "rule 35: users without created_at come first where the newest do",
        f"{QUERIES}/user_list.py",
        "-(2**63) if order.is_descending else 2**63 - 1",
        "2**63 - 1 if order.is_descending else -(2**63)",
        USER_LISTS,
    ),
    Defect(
        "rule 35: a list ends where one page has passed over as many users as it may",
        f"{QUERIES}/user_list.py",
        "far = cursors[-1] if len(rows) > limit else stop",
        "far = cursors[-1] if len(rows) > limit else None",
        USER_LISTS,
    ),
    Defect(
        "rule 35: an estimate is given as an exact number",
        f"{QUERIES}/user_list.py",
        "is_exact=False)",
        "is_exact=True)",
        USER_LISTS,
    ),
    Defect(
        "rule 28: the job at which a walk ends is on no page",
        f"{QUERIES}/job_list.py",
        "item.place >= end",
        "item.place > end",
        JOB_LISTS,
    ),
    Defect(
        "rule 28: jobs of merged-away ids are not found by the user that they stand for",
        f"{QUERIES}/job_list.py",
        'ids = [row["id"] for row in (yield Statement(_SQL["ids_of_user"], {"user_id": user_id}))]',
        "ids = [user_id]",
        JOB_LISTS,
    ),
)
