-- name: choose
-- Keep every preference set told.
INSERT INTO rollbook.choices (user_id, set_id, stamp, settings)
SELECT user_id, set_id, stamp, nullif(settings, 'null')
FROM json_to_recordset(%(choices)s::json) AS n (user_id text, set_id text, stamp text, settings jsonb)
ON CONFLICT DO NOTHING;

-- name: choices_of
-- Every preference set told under these ids.
SELECT user_id, set_id, stamp, settings
FROM rollbook.choices
WHERE user_id = ANY(%(ids)s);

-- name: family_choices_of
-- What the families of these ids wanted to hear of.
SELECT name, since, set_id, settings
FROM rollbook.family_choices
WHERE name = ANY(%(names)s);

-- name: forget_family_choices
-- Make room for the choices of these ids.
DELETE FROM rollbook.family_choices
WHERE name = ANY(%(names)s);

-- name: choose_in_family
-- Write what whoever these ids stood for wanted to hear of, and since when.
INSERT INTO rollbook.family_choices (name, set_id, since, settings)
SELECT name, set_id, since, nullif(settings, 'null')
FROM json_to_recordset(%(choices)s::json) AS n (name text, set_id text, since text, settings jsonb);
