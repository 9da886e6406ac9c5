-- name: end
-- Keep deletes and merges.
INSERT INTO rollbook.endings (stamp, ended, primary_id, keep_opt_outs, merge_tokens)
SELECT stamp, ended, primary_id, keep_opt_outs, merge_tokens
FROM json_to_recordset(%(endings)s::json) AS n (
    stamp text, ended text, primary_id text, keep_opt_outs boolean, merge_tokens boolean
)
ORDER BY stamp COLLATE "C"
ON CONFLICT DO NOTHING;

-- name: endings_of
-- Every delete and merge that names one of these ids, on whichever side.
SELECT stamp, ended, primary_id, keep_opt_outs, merge_tokens
FROM rollbook.endings
WHERE ended = ANY(%(ids)s)
UNION
SELECT stamp, ended, primary_id, keep_opt_outs, merge_tokens
FROM rollbook.endings
WHERE primary_id = ANY(%(ids)s);
