-- name: sight
-- Keep when users were told of.
INSERT INTO rollcall.sightings (user_id, stamp)
SELECT user_id, stamp
FROM json_to_recordset(%(sightings)s::json) AS n (user_id text, stamp text)
ON CONFLICT DO NOTHING;

-- name: sightings_of
-- When these users were told of.
SELECT user_id, stamp
FROM rollcall.sightings
WHERE user_id = ANY(%(ids)s);
