-- Every statement of the relay on the outbox. Time is the database's: several relays need not agree on theirs.

-- name: claim_unsent
-- Claim jobs to send, oldest first, up to a number and a size. Skips those that another relay has claimed.
-- In a table from before there were traces, `trace` is not a column of the row but that of `untraced`.
WITH due AS MATERIALIZED (
    SELECT id, digest, due_at, octet_length(body) AS size
    FROM rollbook_outbox
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
JOIN rollbook_outbox AS o USING (id, digest)
CROSS JOIN (SELECT NULL::text AS trace) AS untraced
WHERE m.before < %(bytes)s
ORDER BY m.due_at, o.id

-- name: mark_sent
-- Record that these were sent, and when to check first whether they are finished.
UPDATE rollbook_outbox AS o
SET sent_at = now(),
    attempts = attempts + 1,
    due_at = now() + make_interval(secs => %(first_check)s)
FROM unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest)
WHERE o.id = s.id
  AND o.digest = s.digest

-- name: claim_sent
-- Claim sent jobs that are due to be checked.
SELECT id, digest
FROM rollbook_outbox
WHERE sent_at IS NOT NULL
  AND due_at <= now()
ORDER BY due_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- name: read_bodies
-- Read the bodies of these.
SELECT id, digest, body
FROM rollbook_outbox
JOIN unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest) USING (id, digest)

-- name: remove
-- Remove these, which are finished.
DELETE FROM rollbook_outbox AS o
USING unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest)
WHERE o.id = s.id
  AND o.digest = s.digest

-- name: reschedule
-- Check these, which are not finished, again after growing delays; have those that were sent too long ago sent again.
-- With each attempt the time until the next one doubles, up to 64-fold: while all workers are down for an hour, Redis
-- must not fill with copies.
WITH waiting AS (
    SELECT o.id, o.digest, o.sent_at + make_interval(secs => %(resend)s * 2 ^ least(o.attempts - 1, 6)) AS again_at
    FROM rollbook_outbox AS o
    JOIN unnest(%(ids)s::text[], %(digests)s::bytea[]) AS s (id, digest) USING (id, digest)
)
UPDATE rollbook_outbox AS o
SET sent_at = CASE WHEN w.again_at > now() THEN o.sent_at END,
    due_at = CASE
        WHEN w.again_at > now()
        THEN least(now() + greatest(now() - o.sent_at, make_interval(secs => %(first_check)s)), w.again_at)
        ELSE now()
    END
FROM waiting AS w
WHERE o.id = w.id
  AND o.digest = w.digest
RETURNING o.sent_at IS NULL

-- name: count
-- Count the jobs to be sent and those sent; the highest number of attempts; the age of the oldest, in seconds.
SELECT
    count(*) FILTER (WHERE sent_at IS NULL),
    count(*) FILTER (WHERE sent_at IS NOT NULL),
    coalesce(max(attempts), 0),
    extract(epoch FROM now() - min(created_at))::float
FROM rollbook_outbox
