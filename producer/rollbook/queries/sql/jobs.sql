-- name: statuses
-- The states of those of many jobs that a worker has received.
SELECT
    id,
    kind,
    digest,
    state,
    occurred_at,
    finished_at,
    duplicates,
    detail,
    trace_id
FROM rollbook.jobs
WHERE id = ANY(%(ids)s::text[])

-- name: merge_events
-- The deletes and merges of the identity clusters of some merges, up to the last of these.
SELECT DISTINCT event.stamp, event.user_id, event.primary_id
FROM rollbook.lifecycle_events AS merge
JOIN rollbook.users AS secondary ON secondary.id = merge.user_id
JOIN rollbook.users AS member ON member.cluster_root = secondary.cluster_root
JOIN rollbook.lifecycle_events AS event ON event.user_id = member.id
WHERE merge.stamp = ANY(%(stamps)s::text[])
    AND event.stamp <= %(last)s::text

-- name: merged_users
-- Which of some merges found a user as their secondary.
SELECT merge.stamp
FROM rollbook.lifecycle_events AS merge
JOIN rollbook.ownership_periods AS period ON period.user_id = merge.user_id
WHERE merge.stamp = ANY(%(stamps)s::text[])
    AND period.valid_from < merge.stamp
    AND period.valid_to >= merge.stamp
    AND period.existed

-- name: finished
-- Which of many jobs a worker has finished or stored, and which are dead letters.
SELECT id, digest, false AS is_dead_letter
FROM rollbook.jobs
WHERE id = ANY(%(ids)s::text[])
UNION ALL
SELECT id, digest, true
FROM rollbook.dead_letters
WHERE id = ANY(%(ids)s::text[])

-- name: timeline
-- The timeline of this Postgres, which each failover and each restore changes; null on a replica.
SELECT CASE
    WHEN NOT pg_is_in_recovery()
        THEN ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer
END AS timeline

-- name: deferred
-- A page of the deferred jobs, the first due first.
SELECT deferred.id, deferred.due_at, job.kind
FROM rollbook.deferred_jobs AS deferred
JOIN rollbook.jobs AS job ON job.id = deferred.id
WHERE (deferred.due_at, deferred.id) > (coalesce(%(due_at)s::timestamptz, '-infinity'), %(id)s::text)
ORDER BY deferred.due_at, deferred.id
LIMIT %(limit)s

-- name: cancel
-- Cancel a deferred job; keep which users it names. If a worker is just releasing it, this waits for the worker and then finds no row.
WITH gone AS (
    DELETE FROM rollbook.deferred_jobs
    WHERE id = %(id)s
    RETURNING id, user_ids, requested_at
)
UPDATE rollbook.jobs AS job
SET state = 'cancelled',
    finished_at = now(),
    user_ids = nullif(gone.user_ids, '{}'),
    requested_at = gone.requested_at
FROM gone
WHERE job.id = gone.id
RETURNING job.id
