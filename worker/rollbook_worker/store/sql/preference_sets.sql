-- name: insert_versions
-- Keep every version of a preference set.
INSERT INTO rollbook.preference_set_versions (user_id, set_id, stamp, settings)
SELECT user_id, set_id, stamp, nullif(settings, 'null')
FROM json_to_recordset(%(versions)s::json) AS n (user_id text, set_id text, stamp text, settings jsonb)
ON CONFLICT DO NOTHING;

-- name: select_versions
-- Every version of the preference sets of these ids.
SELECT user_id, set_id, stamp, settings
FROM rollbook.preference_set_versions
WHERE user_id = ANY(%(ids)s);

-- name: select_resolved
-- The preference sets of these ids as their clusters resolve them.
SELECT user_id, valid_from, set_id, settings
FROM rollbook.resolved_preference_sets
WHERE user_id = ANY(%(ids)s);

-- name: delete_resolved
-- Delete the resolved preference sets of these ids.
DELETE FROM rollbook.resolved_preference_sets
WHERE user_id = ANY(%(ids)s);

-- name: insert_resolved
-- Write the preference sets that applied to these ids, and from when on.
INSERT INTO rollbook.resolved_preference_sets (user_id, set_id, valid_from, settings)
SELECT user_id, set_id, valid_from, nullif(settings, 'null')
FROM json_to_recordset(%(versions)s::json) AS n (user_id text, set_id text, valid_from text, settings jsonb);
