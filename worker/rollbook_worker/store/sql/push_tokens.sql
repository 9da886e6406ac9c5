-- name: insert
-- Keep every change of a push token.
INSERT INTO rollbook.push_token_changes (user_id, channel_id, stamp, token, device, is_added)
SELECT user_id, channel_id, stamp, token, nullif(device, 'null'), is_added
FROM json_to_recordset(%(changes)s::json) AS n (
    user_id text, channel_id text, stamp text, token text, device jsonb, is_added boolean
)
ON CONFLICT DO NOTHING;

-- name: upsert_users
-- Keep when each user sent each push token last.
INSERT INTO rollbook.push_token_users AS u (user_id, channel_id, token_hash, stamp)
SELECT user_id, channel_id, decode(token_hash, 'hex'), stamp
FROM json_to_recordset(%(users)s::json) AS n (user_id text, channel_id text, token_hash text, stamp text)
ON CONFLICT (user_id, channel_id, token_hash) DO UPDATE SET
    stamp = excluded.stamp
WHERE u.stamp < excluded.stamp;

-- name: delete_overwritten
-- Delete changes of push tokens that can no longer decide anything: many later changes of the same token lie before the
-- horizon too, and no merge or delete names the user.
DELETE FROM rollbook.push_token_changes AS c
USING rollbook.users AS u
WHERE c.user_id = ANY(%(ids)s)
    AND u.id = c.user_id
    AND u.cluster_root IS NULL
    AND (
        SELECT count(*)
        FROM rollbook.push_token_changes AS later
        WHERE later.user_id = c.user_id
            AND later.channel_id = c.channel_id
            AND later.token = c.token
            AND later.stamp > c.stamp
            AND later.stamp < %(horizon)s
    ) >= %(most)s;

-- name: delete
-- Delete these changes of push tokens.
DELETE FROM rollbook.push_token_changes AS c
USING json_to_recordset(%(changes)s::json) AS n (user_id text, channel_id text, stamp text)
WHERE c.user_id = n.user_id
    AND c.channel_id = n.channel_id
    AND c.stamp = n.stamp;

-- name: select
-- The changes of push tokens of these users.
SELECT user_id, channel_id, stamp, token, device, is_added
FROM rollbook.push_token_changes
WHERE user_id = ANY(%(ids)s);
