-- name: insert
-- Keep deletes and merges.
INSERT INTO rollbook.lifecycle_events (stamp, user_id, primary_id, keep_opt_outs, merge_tokens)
SELECT stamp, user_id, primary_id, keep_opt_outs, merge_tokens
FROM json_to_recordset(%(events)s::json) AS n (
    stamp text, user_id text, primary_id text, keep_opt_outs boolean, merge_tokens boolean
)
ORDER BY stamp COLLATE "C"
ON CONFLICT DO NOTHING;

-- name: select_naming
-- Every delete and merge that names one of these ids, on either side.
SELECT stamp, user_id, primary_id, keep_opt_outs, merge_tokens
FROM rollbook.lifecycle_events
WHERE user_id = ANY(%(ids)s)
UNION
SELECT stamp, user_id, primary_id, keep_opt_outs, merge_tokens
FROM rollbook.lifecycle_events
WHERE primary_id = ANY(%(ids)s);
