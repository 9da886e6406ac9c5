-- name: insert_versions
-- Keep every version of a preference set.
INSERT INTO rollbook.preference_set_versions (user_id, set_id, stamp, settings, changes)
SELECT user_id, set_id, stamp, nullif(settings, 'null'), changes
FROM json_to_recordset(%(versions)s::json) AS n (
    user_id text, set_id text, stamp text, settings jsonb, changes jsonb
)
ON CONFLICT DO NOTHING;

-- name: select_changed
-- Those sets of these users in which single keys were changed.
SELECT DISTINCT user_id, set_id
FROM rollbook.preference_set_versions
WHERE user_id = ANY(%(ids)s)
    AND changes IS NOT NULL;

-- name: update_settings
-- Write what changes of single keys resulted in.
UPDATE rollbook.preference_set_versions AS version
SET settings = nullif(n.settings, 'null')
FROM json_to_recordset(%(versions)s::json) AS n (user_id text, set_id text, stamp text, settings jsonb)
WHERE version.user_id = n.user_id
    AND version.set_id = n.set_id
    AND version.stamp = n.stamp;

-- name: select_versions
-- Every version of the preference sets of these ids.
SELECT user_id, set_id, stamp, settings, changes
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
-- Write the preference sets that applied to these ids, and from when on. None of them is there: the clause on conflicts is
-- for Citus, as of ownership periods.
INSERT INTO rollbook.resolved_preference_sets (user_id, set_id, valid_from, settings)
SELECT user_id, set_id, valid_from, nullif(settings, 'null')
FROM json_to_recordset(%(versions)s::json) AS n (user_id text, set_id text, valid_from text, settings jsonb)
ON CONFLICT DO NOTHING;
