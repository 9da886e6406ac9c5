-- name: status
-- The state of a job that a worker has received.
SELECT
    id,
    kind,
    digest,
    state,
    occurred_at,
    finished_at,
    duplicates,
    detail
FROM rollbook.jobs
WHERE id = %(id)s

-- name: finished
-- Which of many jobs a worker has finished or stored, and which are dead letters.
SELECT id, digest, false AS is_dead_letter
FROM rollbook.jobs
WHERE id = ANY(%(ids)s::text[])
UNION ALL
SELECT id, digest, true
FROM rollbook.dead_letters
WHERE id = ANY(%(ids)s::text[])

-- name: deferred
-- A page of the deferred jobs, the first due first.
SELECT deferred.id, deferred.due_at, job.kind
FROM rollbook.deferred_jobs AS deferred
JOIN rollbook.jobs AS job ON job.id = deferred.id
WHERE (deferred.due_at, deferred.id) > (coalesce(%(due_at)s::timestamptz, '-infinity'), %(id)s::text)
ORDER BY deferred.due_at, deferred.id
LIMIT %(limit)s

-- name: cancel
-- Cancel a deferred job. If a worker is just releasing it, this waits for the worker and then finds no row.
WITH gone AS (
    DELETE FROM rollbook.deferred_jobs
    WHERE id = %(id)s
    RETURNING id
)
UPDATE rollbook.jobs AS job
SET state = 'cancelled',
    finished_at = now()
FROM gone
WHERE job.id = gone.id
RETURNING job.id
