-- name: end
-- Keep deletes and merges.
INSERT INTO rollbook.endings (stamp, ended, heir, keep_opt_outs, unite_tokens)
SELECT stamp, ended, heir, keep_opt_outs, unite_tokens
FROM json_to_recordset(%(endings)s::json) AS n (
    stamp text, ended text, heir text, keep_opt_outs boolean, unite_tokens boolean
)
ORDER BY stamp COLLATE "C"
ON CONFLICT DO NOTHING;

-- name: endings_of
-- Every delete and merge that names one of these ids, on whichever side.
SELECT stamp, ended, heir, keep_opt_outs, unite_tokens
FROM rollbook.endings
WHERE ended = ANY(%(ids)s)
UNION
SELECT stamp, ended, heir, keep_opt_outs, unite_tokens
FROM rollbook.endings
WHERE heir = ANY(%(ids)s);
