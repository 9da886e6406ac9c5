-- Every statement of the relay on the outbox. Time is the database's: several relays need not agree on theirs.
-- `= ANY` says again what a join says: the outbox is empty most of the time, and when it was empty as it was analysed,
-- Postgres takes it for empty until it is analysed again, and joins it without its index.

-- name: claim_unsent
-- Claim jobs to send, oldest first, up to a number and a size. Skips those that another relay has claimed.
-- In a table from before there were traces, `trace` is not a column of the row but that of `untraced`.
WITH due AS MATERIALIZED (
    SELECT id, digest, due_at, octet_length(body) AS size
    FROM {outbox}
    WHERE sent_at IS NULL
      AND due_at <= now()
    ORDER BY due_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), measured AS (
    SELECT id, digest, due_at, sum(size) OVER (ORDER BY due_at, id, digest) - size AS before
    FROM due
)
SELECT o.id, o.digest, o.kind, o.body, (SELECT trace FROM (SELECT o.*) AS row)
FROM measured AS m
JOIN {outbox} AS o USING (id, digest)
CROSS JOIN (SELECT NULL::text AS trace) AS untraced
WHERE m.before < %(bytes)s
  AND o.id = ANY(ARRAY(SELECT id FROM due))
ORDER BY m.due_at, o.id

-- name: mark_sent
-- Record that these were sent, and when to check first whether they are finished.
UPDATE {outbox} AS o
SET sent_at = now(),
    attempts = attempts + 1,
    due_at = now() + make_interval(secs => %(first_check)s)
FROM unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest)
WHERE o.id = s.id
  AND o.id = ANY(%(ids)s::text[])
  AND o.digest = s.digest

-- name: select_attempts
-- How often the relay has tried to send these.
SELECT id, digest, attempts
FROM {outbox}
JOIN unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest) USING (id, digest)
WHERE id = ANY(%(ids)s::text[])

-- name: mark_unsendable
-- Record that these could not be sent, and when to try each again. Other jobs of the outbox are never due in the future
-- and unsent.
UPDATE {outbox} AS o
SET attempts = attempts + 1,
    due_at = now() + make_interval(secs => s.delay)
FROM unnest(%(ids)s::text[], %(digests)s::bytea[], %(delays)s::float[]) AS s (id, digest, delay)
WHERE o.id = s.id
  AND o.id = ANY(%(ids)s::text[])
  AND o.digest = s.digest

-- name: claim_sent
-- Claim sent jobs that are due to be checked.
SELECT id, digest, finished_at IS NOT NULL, dead_on
FROM {outbox}
WHERE sent_at IS NOT NULL
  AND due_at <= now()
ORDER BY due_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- name: read_bodies
-- Read the bodies of these.
SELECT id, digest, body
FROM {outbox}
JOIN unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest) USING (id, digest)
WHERE id = ANY(%(ids)s::text[])

-- name: keep
-- Keep these, which are finished, and check them once more later.
UPDATE {outbox} AS o
SET finished_at = now(),
    dead_on = s.timeline,
    due_at = now() + make_interval(secs => %(keep)s)
FROM unnest(%(ids)s::text[], %(digests)s::bytea[], %(timelines)s::integer[]) AS s (id, digest, timeline)
WHERE o.id = s.id
  AND o.id = ANY(%(ids)s::text[])
  AND o.digest = s.digest

-- name: send_again
-- Have these sent again, which were finished and are not any more.
UPDATE {outbox} AS o
SET sent_at = NULL,
    finished_at = NULL,
    dead_on = NULL,
    due_at = now()
FROM unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest)
WHERE o.id = s.id
  AND o.id = ANY(%(ids)s::text[])
  AND o.digest = s.digest

-- name: remove
-- Remove these, which are finished.
DELETE FROM {outbox} AS o
USING unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest)
WHERE o.id = s.id
  AND o.id = ANY(%(ids)s::text[])
  AND o.digest = s.digest

-- name: reschedule
-- Check these, which are not finished, again after growing delays; have those that were sent too long ago sent again.
-- With each attempt the time until the next one doubles, up to 64-fold: while all workers are down for an hour, Redis
-- must not fill with copies.
WITH waiting AS (
    SELECT o.id, o.digest, o.sent_at + make_interval(secs => %(resend)s * 2 ^ least(o.attempts - 1, 6)) AS again_at
    FROM {outbox} AS o
    JOIN unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest) USING (id, digest)
    WHERE o.id = ANY(%(ids)s::text[])
)
UPDATE {outbox} AS o
SET sent_at = CASE WHEN w.again_at > now() THEN o.sent_at END,
    due_at = CASE
        WHEN w.again_at > now()
        THEN least(now() + greatest(now() - o.sent_at, make_interval(secs => %(first_check)s)), w.again_at)
        ELSE now()
    END
FROM waiting AS w
WHERE o.id = w.id
  AND o.id = ANY(%(ids)s::text[])
  AND o.digest = w.digest
RETURNING o.sent_at IS NULL

-- name: count
-- Count the jobs to be sent, those that could not be sent, those sent, and those finished; of the jobs that are not
-- finished the highest number of attempts, and the age of the oldest; the age of the oldest that could not be sent, in
-- seconds.
SELECT
    count(*) FILTER (WHERE sent_at IS NULL AND due_at <= now()),
    count(*) FILTER (WHERE sent_at IS NULL AND due_at > now()),
    count(*) FILTER (WHERE sent_at IS NOT NULL AND finished_at IS NULL),
    count(*) FILTER (WHERE finished_at IS NOT NULL),
    coalesce(max(attempts) FILTER (WHERE finished_at IS NULL), 0),
    extract(epoch FROM now() - min(created_at) FILTER (WHERE finished_at IS NULL))::float,
    extract(epoch FROM now() - min(created_at) FILTER (WHERE sent_at IS NULL AND due_at > now()))::float
FROM {outbox}
