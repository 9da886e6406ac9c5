-- name: select_standing
-- The jobs that these ids belong to; the digest distinguishes a duplicate from another job with the same id.
SELECT id, digest, kind, state
FROM rollbook.jobs
WHERE id = ANY(%(ids)s);

-- name: count_duplicates
-- Count further deliveries, locking in id order. Here and below, `= ANY` says what the joins say already: Postgres takes
-- a table that was empty when it was analysed for empty, whatever is in it now, and joins it without its index.
UPDATE rollbook.jobs AS j
SET duplicates = j.duplicates + n.times
FROM (
    SELECT job.id, again.times
    FROM rollbook.jobs AS job
    JOIN json_to_recordset(%(again)s::json) AS again (id text, times integer) ON again.id = job.id
    WHERE job.id = ANY(%(ids)s)
    ORDER BY job.id
    FOR UPDATE OF job
) AS n
WHERE j.id = n.id
    AND j.id = ANY(%(ids)s);

-- name: set_skipped
-- Note which recipients of a trigger were skipped.
UPDATE rollbook.jobs AS j
SET detail = jsonb_set(coalesce(j.detail, '{}'), '{skipped}', n.skipped)
FROM json_to_recordset(%(skipped)s::json) AS n (id text, skipped jsonb)
WHERE j.id = n.id
    AND j.id = ANY(%(ids)s);

-- name: set_too_old
-- Note that these triggers were too old to make messages.
UPDATE rollbook.jobs
SET detail = coalesce(detail, '{}') || '{"too_old": true}'
WHERE id = ANY(%(ids)s);

-- name: upsert_dead_letters
-- Keep a job that cannot be applied as it stands, once; if it fails again, keep the last time and reason.
INSERT INTO rollbook.dead_letters (
    id, digest, kind, code, reason, body, user_ids, requested_at, failed_at, trace_id
)
SELECT DISTINCT ON (id COLLATE "C", digest)
    id, decode(digest, 'hex'), kind, code, reason, decode(body, 'hex'), user_ids, requested_at,
    rollbook.from_microseconds(%(now)s), trace_id
FROM json_to_recordset(%(dead_letters)s::json) AS n (
    id text, digest text, kind text, code text, reason text, body text, user_ids text[], requested_at bigint,
    trace_id uuid
)
ORDER BY id COLLATE "C", digest
ON CONFLICT (id, digest) DO UPDATE
SET code = excluded.code,
    reason = excluded.reason,
    failed_at = excluded.failed_at,
    trace_id = coalesce(excluded.trace_id, dead_letters.trace_id),
    replaying_until = NULL;

-- name: insert_deferred
-- Keep jobs stamped in the future, until then.
INSERT INTO rollbook.deferred_jobs (id, due_at, body, user_ids, requested_at, trace)
SELECT id, rollbook.from_microseconds(due), body, user_ids, coalesce(requested_at, %(now)s), trace
FROM json_to_recordset(%(jobs)s::json) AS n (
    id text, due bigint, body text, user_ids text[], requested_at bigint, trace text
)
ON CONFLICT DO NOTHING;

-- name: lock_due
-- Lock deferred jobs that are due, except those that another dispatcher has locked and those to skip.
SELECT id, body, trace
FROM rollbook.deferred_jobs
WHERE due_at <= rollbook.from_microseconds(%(now)s)
    AND id <> ALL(%(but)s::text[])
ORDER BY due_at, id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED;

-- name: lock_one
-- Lock a deferred job, unless another dispatcher has locked it.
SELECT body, trace
FROM rollbook.deferred_jobs
WHERE id = %(id)s
FOR UPDATE SKIP LOCKED;

-- name: select_still_deferred
-- Which of these jobs are still deferred, the longest due first.
SELECT id
FROM rollbook.deferred_jobs
WHERE id = ANY(%(ids)s)
ORDER BY due_at, id;

-- name: set_local_timeouts
-- Bound how long the rest of the transaction may wait. No `set_config`: Citus sends only SET LOCAL to its nodes.
SET LOCAL lock_timeout = {lock};
SET LOCAL statement_timeout = {statement};

-- name: release_deferred
-- Delete deferred jobs that are due, and set their final states; lock in id order. Of one that is rejected, keep which
-- users it names.
WITH gone AS (
    DELETE FROM rollbook.deferred_jobs
    WHERE id = ANY(%(ids)s)
    RETURNING id, user_ids, requested_at
)
UPDATE rollbook.jobs AS j
SET state = n.state,
    finished_at = rollbook.from_microseconds(%(now)s),
    user_ids = CASE WHEN n.state = 'rejected' THEN gone.user_ids END,
    requested_at = CASE WHEN n.state = 'rejected' THEN gone.requested_at END
FROM (
    SELECT job.id, due.state
    FROM rollbook.jobs AS job
    JOIN unnest(%(ids)s::text[], %(states)s::text[]) AS due (id, state) ON due.id = job.id
    WHERE job.id = ANY(%(ids)s::text[])
    ORDER BY job.id
    FOR UPDATE OF job
) AS n
JOIN gone ON gone.id = n.id
WHERE j.id = n.id
    AND j.id = ANY(%(ids)s::text[]);

-- name: remove_deferred
-- Delete deferred jobs that cannot be applied, with their rows in `jobs`; return those that were still there.
WITH gone AS (
    DELETE FROM rollbook.deferred_jobs
    WHERE id = ANY(%(ids)s)
    RETURNING id
), forgotten AS (
    DELETE FROM rollbook.jobs
    WHERE id IN (SELECT gone.id FROM gone)
)
SELECT id FROM gone;

-- name: prune_jobs
-- Delete the oldest finished jobs, except those whose state no other table records.
WITH oldest AS MATERIALIZED (
    SELECT id
    FROM rollbook.jobs
    WHERE finished_at < rollbook.from_microseconds(%(horizon)s)
        AND state IN ('applied', 'rejected')
    ORDER BY finished_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM rollbook.jobs AS j
USING oldest
WHERE j.id = oldest.id;

-- name: prune_dead_letters
-- Delete the oldest dead letters; those that name no user, which erasure cannot find, perhaps earlier than others.
WITH oldest AS MATERIALIZED (
    SELECT id, digest
    FROM rollbook.dead_letters
    WHERE failed_at < rollbook.from_microseconds(greatest(%(horizon)s, %(unnamed_horizon)s))
        AND (failed_at < rollbook.from_microseconds(%(horizon)s) OR user_ids = '{}')
    ORDER BY failed_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM rollbook.dead_letters AS d
USING oldest
WHERE d.id = oldest.id
    AND d.digest = oldest.digest;
