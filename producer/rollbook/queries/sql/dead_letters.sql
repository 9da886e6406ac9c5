-- name: of_job
-- The first dead letter of a job id; with digests, the first with one of them. Without the body, which may be large and
-- holds personal data.
SELECT id, kind, code, reason, failed_at
FROM rollbook.dead_letters
WHERE id = %(id)s
    AND (cardinality(%(digests)s::bytea[]) = 0 OR digest = ANY(%(digests)s::bytea[]))
ORDER BY failed_at
LIMIT 1

-- name: page
-- A page of the dead letters without their bodies, newest first.
SELECT id, digest, kind, code, reason, failed_at
FROM rollbook.dead_letters
WHERE (failed_at, id, digest) < (coalesce(%(failed_at)s::timestamptz, 'infinity'), %(id)s::text, %(digest)s::bytea)
ORDER BY failed_at DESC, id DESC, digest DESC
LIMIT %(limit)s

-- name: with_body
-- The dead letters of one id with their bodies, oldest first.
SELECT id, digest, kind, code, reason, failed_at, body
FROM rollbook.dead_letters
WHERE id = %(id)s
ORDER BY failed_at, digest

-- name: drop
-- Delete a dead letter as it was read: if the job has failed again since, its dead letter says something new and stays.
DELETE FROM rollbook.dead_letters
WHERE id = %(id)s
    AND digest = %(digest)s
    AND failed_at = %(failed_at)s
RETURNING id
