-- name: upsert
-- Note users of whom much is kept.
INSERT INTO rollbook.large_users AS l (user_id, bytes)
SELECT user_id, bytes
FROM json_to_recordset(%(users)s::json) AS n (user_id text, bytes bigint)
ORDER BY user_id COLLATE "C"
ON CONFLICT (user_id) DO UPDATE SET bytes = excluded.bytes;

-- name: delete
-- Delete the notes of erased users.
DELETE FROM rollbook.large_users
WHERE user_id = ANY(%(ids)s);
