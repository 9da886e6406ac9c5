-- name: of_jobs
-- The dead letters of many job ids, oldest first. Without their bodies, which may be large and hold personal data.
SELECT id, digest, kind, code, reason, failed_at, trace_id
FROM rollbook.dead_letters
WHERE id = ANY(%(ids)s::text[])
ORDER BY failed_at

-- name: page
-- A page of the dead letters without their bodies, newest first.
SELECT id, digest, kind, code, reason, failed_at, trace_id
FROM rollbook.dead_letters
WHERE (failed_at, id, digest) < (coalesce(%(failed_at)s::timestamptz, 'infinity'), %(id)s::text, %(digest)s::bytea)
ORDER BY failed_at DESC, id DESC, digest DESC
LIMIT %(limit)s

-- name: page_of_code
-- The same of one code.
SELECT id, digest, kind, code, reason, failed_at, trace_id
FROM rollbook.dead_letters
WHERE code = %(code)s
    AND (failed_at, id, digest) < (coalesce(%(failed_at)s::timestamptz, 'infinity'), %(id)s::text, %(digest)s::bytea)
ORDER BY failed_at DESC, id DESC, digest DESC
LIMIT %(limit)s

-- name: counts
-- How many dead letters each code has, up to a bound, and when the first and the last of them failed. Each step reads
-- the next code in the index, so that it costs no more where one code has very many.
WITH RECURSIVE codes AS (
    (
        SELECT code
        FROM rollbook.dead_letters
        ORDER BY code
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT code
        FROM rollbook.dead_letters
        WHERE code > codes.code
        ORDER BY code
        LIMIT 1
    )
    FROM codes
    WHERE codes.code IS NOT NULL
)
SELECT
    codes.code,
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM rollbook.dead_letters
            WHERE code = codes.code
            ORDER BY failed_at, id, digest  -- in the order of the index, so that Postgres reads nothing else
            LIMIT %(most)s + 1
        ) AS counted
    ) AS count,
    (
        SELECT failed_at
        FROM rollbook.dead_letters
        WHERE code = codes.code
        ORDER BY failed_at
        LIMIT 1
    ) AS oldest,
    (
        SELECT failed_at
        FROM rollbook.dead_letters
        WHERE code = codes.code
        ORDER BY failed_at DESC
        LIMIT 1
    ) AS newest
FROM codes
WHERE codes.code IS NOT NULL
ORDER BY newest DESC, codes.code

-- name: with_body
-- The dead letters of one id with their bodies, oldest first.
SELECT id, digest, kind, code, reason, failed_at, trace_id, body
FROM rollbook.dead_letters
WHERE id = %(id)s
ORDER BY failed_at, digest

-- name: claim
-- Give a dead letter as it was read to one replay, unless another has it. Of two at once the second waits here for the
-- first, and then finds no row.
UPDATE rollbook.dead_letters
SET replaying_until = now() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s
    AND digest = %(digest)s
    AND failed_at = %(failed_at)s
    AND coalesce(replaying_until, '-infinity') < now()
RETURNING id

-- name: claim_of_code
-- Give the next dead letters of a code to one replay, the oldest first; not those that another replay has. By their
-- places in the table: a join would read all of it, because Postgres cannot know how small the limit is.
WITH claimed AS (
    UPDATE rollbook.dead_letters
    SET replaying_until = now() + make_interval(secs => %(seconds)s)
    WHERE ctid = ANY(ARRAY(
        SELECT ctid
        FROM rollbook.dead_letters
        WHERE code = %(code)s
            AND (failed_at, id, digest)
                > (coalesce(%(failed_at)s::timestamptz, '-infinity'), %(id)s::text, %(key)s::bytea)
            AND coalesce(replaying_until, '-infinity') < now()
        ORDER BY failed_at, id, digest
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING *
)
SELECT id, digest, kind, code, reason, failed_at, trace_id, body
FROM claimed
ORDER BY failed_at, id, digest

-- name: release
-- Give dead letters as they were read back, for others to replay.
UPDATE rollbook.dead_letters AS d
SET replaying_until = NULL
FROM unnest(%(ids)s::text[], %(digests)s::bytea[], %(failed_ats)s::timestamptz[]) AS n (id, digest, failed_at)
WHERE d.id = n.id
    AND d.digest = n.digest
    AND d.failed_at = n.failed_at
RETURNING d.id

-- name: drop
-- Delete dead letters as they were read: if a job has failed again since, its dead letter says something new and stays.
DELETE FROM rollbook.dead_letters AS d
USING unnest(%(ids)s::text[], %(digests)s::bytea[], %(failed_ats)s::timestamptz[]) AS n (id, digest, failed_at)
WHERE d.id = n.id
    AND d.digest = n.digest
    AND d.failed_at = n.failed_at
RETURNING d.id

-- name: drop_unclaimed
-- Delete a dead letter that no replay has.
DELETE FROM rollbook.dead_letters
WHERE id = %(id)s
    AND digest = %(digest)s
    AND coalesce(replaying_until, '-infinity') < now()
RETURNING id

-- name: drop_of_code
-- Delete the oldest dead letters of a code that failed before a time, except those that a replay has.
DELETE FROM rollbook.dead_letters
WHERE ctid = ANY(ARRAY(
    SELECT ctid
    FROM rollbook.dead_letters
    WHERE code = %(code)s
        AND failed_at <= coalesce(%(until)s::timestamptz, 'infinity')
        AND coalesce(replaying_until, '-infinity') < now()
    ORDER BY failed_at, id, digest
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
RETURNING id
