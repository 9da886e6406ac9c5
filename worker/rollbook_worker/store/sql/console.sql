-- name: erase_from_audit
-- Take erased users out of what the console's audit names, with the reasons, which may name them in any words. A row
-- may be written some time after the delete that it is about.
WITH named AS (
    SELECT a.id, n.id AS user_id
    FROM json_to_recordset(%(erased)s::json) AS n (id text, arrived_until bigint)
    JOIN rollbook.console_audit AS a ON a.user_ids @> ARRAY[n.id]
    WHERE a.at <= rollbook.from_microseconds(n.arrived_until)
    ORDER BY a.id
    FOR UPDATE OF a
), changed AS (
    UPDATE rollbook.console_audit AS a
    SET user_ids = nullif(ARRAY(SELECT kept FROM unnest(a.user_ids) AS kept WHERE kept <> ALL(gone.ids)), '{}'),
        reason = NULL
    FROM (SELECT id, array_agg(user_id) AS ids FROM named GROUP BY id) AS gone
    WHERE a.id = gone.id
)
SELECT user_id
FROM named;

-- name: prune_audit
-- Delete the oldest rows of the audit.
WITH oldest AS MATERIALIZED (
    SELECT id
    FROM rollbook.console_audit
    WHERE at < rollbook.from_microseconds(%(horizon)s)
    ORDER BY at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM rollbook.console_audit AS a
USING oldest
WHERE a.id = oldest.id;

-- name: prune_sessions
-- Delete sessions that have expired.
DELETE FROM rollbook.console_sessions
WHERE expires_at < rollbook.from_microseconds(%(now)s);

-- name: prune_login_tokens
-- Delete links to log in that have expired.
DELETE FROM rollbook.console_login_tokens
WHERE expires_at < rollbook.from_microseconds(%(now)s);
