-- name: write
-- Write a row.
INSERT INTO rollbook.console_audit (account, action, outcome, user_ids, target, job_id, reason)
VALUES (%(account)s, %(action)s, %(outcome)s, %(user_ids)s::text[], %(target)s, %(job_id)s, %(reason)s)
RETURNING id;

-- name: finish
-- Say what became of an action.
UPDATE rollbook.console_audit
SET outcome = %(outcome)s,
    user_ids = %(user_ids)s::text[],
    target = %(target)s,
    job_id = %(job_id)s,
    reason = %(reason)s
WHERE id = %(id)s
RETURNING id;

-- name: list
-- The newest rows.
SELECT id, at, account, action, outcome, user_ids, target, job_id, reason
FROM rollbook.console_audit
WHERE (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
    AND (%(account)s::text IS NULL OR account = %(account)s::text)
    AND (%(action)s::text IS NULL OR action = %(action)s::text)
    AND (%(user_id)s::text IS NULL OR user_ids @> ARRAY[%(user_id)s::text])
ORDER BY id DESC
LIMIT %(limit)s;
