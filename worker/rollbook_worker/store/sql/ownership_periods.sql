-- name: select
-- Who owned what was addressed to these ids, and when.
SELECT user_id, valid_from, valid_to, owner, existed
FROM rollbook.ownership_periods
WHERE user_id = ANY(%(ids)s);

-- name: delete
-- Delete the ownership periods of these ids.
DELETE FROM rollbook.ownership_periods
WHERE user_id = ANY(%(ids)s);

-- name: insert
-- Write who owns what was addressed to an id, and when. None of the periods is there: without a clause on conflicts
-- Citus would copy the rows, and say of each value that cannot be stored that the server failed.
INSERT INTO rollbook.ownership_periods (user_id, valid_from, valid_to, owner, existed)
SELECT user_id, valid_from, valid_to, owner, existed
FROM json_to_recordset(%(periods)s::json) AS n (
    user_id text, valid_from text, valid_to text, owner text, existed boolean
)
ON CONFLICT DO NOTHING;
