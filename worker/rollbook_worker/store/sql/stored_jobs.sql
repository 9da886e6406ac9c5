-- name: lock_deferred
-- Lock deferred jobs that name erased users and were asked for before their deletes. This does not wait: a dispatcher
-- that has locked such a job may wait for the users that this transaction has locked.
SELECT d.id, ''::bytea, d.body, n.id
FROM json_to_recordset(%(erased)s::json) AS n (id text, until bigint)
JOIN rollbook.deferred_jobs AS d ON d.user_ids @> ARRAY[n.id]
WHERE d.requested_at <= n.until
ORDER BY d.id
LIMIT %(limit)s
FOR UPDATE OF d NOWAIT;

-- name: replace_deferred
-- Write what is left of deferred jobs. The digest in `jobs` stays that of the job as it was sent, so that another
-- delivery of it is a duplicate.
UPDATE rollbook.deferred_jobs AS d
SET body = n.body,
    user_ids = n.user_ids
FROM json_to_recordset(%(jobs)s::json) AS n (id text, body text, user_ids text[])
WHERE d.id = n.id;

-- name: cancel_deferred
-- Cancel deferred jobs of which nothing is left; keep which other users they name.
WITH gone AS (
    DELETE FROM rollbook.deferred_jobs AS d
    USING json_to_recordset(%(jobs)s::json) AS n (id text, user_ids text[])
    WHERE d.id = n.id
    RETURNING d.id, n.user_ids, d.requested_at
)
UPDATE rollbook.jobs AS j
SET state = 'cancelled',
    finished_at = rollbook.from_microseconds(%(now)s),
    detail = '{"erased": true}',
    user_ids = nullif(gone.user_ids, '{}'),
    requested_at = gone.requested_at
FROM gone
WHERE j.id = gone.id;

-- name: erase_from_finished
-- Take erased users out of what rejected and cancelled jobs name that were asked for before their deletes. This does not
-- wait either: a transaction that has locked such a job, to count a duplicate, may wait for the users.
WITH named AS (
    SELECT j.id, n.id AS user_id
    FROM json_to_recordset(%(erased)s::json) AS n (id text, until bigint)
    JOIN rollbook.jobs AS j ON j.user_ids @> ARRAY[n.id]
    WHERE j.requested_at <= n.until
    ORDER BY j.id
    FOR UPDATE OF j NOWAIT
), changed AS (
    UPDATE rollbook.jobs AS j
    SET user_ids = nullif(ARRAY(SELECT kept FROM unnest(j.user_ids) AS kept WHERE kept <> ALL(gone.ids)), '{}')
    FROM (SELECT id, array_agg(user_id) AS ids FROM named GROUP BY id) AS gone
    WHERE j.id = gone.id
)
SELECT user_id
FROM named;

-- name: lock_dead_letters
-- Lock dead letters that name erased users, and whose jobs were asked for before their deletes.
SELECT d.id, d.digest, d.body, n.id
FROM json_to_recordset(%(erased)s::json) AS n (id text, until bigint, arrived_until bigint)
JOIN rollbook.dead_letters AS d ON d.user_ids @> ARRAY[n.id]
WHERE coalesce(d.requested_at <= n.until, d.failed_at < rollbook.from_microseconds(n.arrived_until))
ORDER BY d.id, d.digest
LIMIT %(limit)s
FOR UPDATE OF d;

-- name: replace_dead_letters
-- Write what is left of dead letters. The digest stays that of the job as it was sent, by which its sender asks for it.
UPDATE rollbook.dead_letters AS d
SET body = decode(n.body, 'hex'),
    user_ids = n.user_ids
FROM json_to_recordset(%(dead_letters)s::json) AS n (id text, digest text, body text, user_ids text[])
WHERE d.id = n.id
    AND d.digest = decode(n.digest, 'hex');

-- name: delete_dead_letters
-- Delete dead letters of which nothing is left.
DELETE FROM rollbook.dead_letters AS d
USING json_to_recordset(%(dead_letters)s::json) AS n (id text, digest text)
WHERE d.id = n.id
    AND d.digest = decode(n.digest, 'hex');
