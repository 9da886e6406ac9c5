-- name: move_sightings
-- Empty the lists of these users but for the newest, keeping in the table what may still decide something (see
-- compaction).
WITH kept AS (
    INSERT INTO rollcall.sightings (user_id, stamp)
    SELECT u.id, listed.stamp
    FROM rollcall.users AS u
    CROSS JOIN string_to_table(rtrim(u.seen), ' ') AS listed (stamp)
    WHERE u.id = ANY(%(ids)s)
        AND listed.stamp <> u.last
        AND (u.family IS NOT NULL OR listed.stamp >= %(horizon)s COLLATE "C")
    ON CONFLICT DO NOTHING
)
UPDATE rollcall.users
SET seen = CASE WHEN position(last IN seen) > 0 THEN last || ' ' ELSE '' END
WHERE id = ANY(%(ids)s);

-- name: sightings_of
-- When these users were told of, beside what their rows list.
SELECT user_id, stamp
FROM rollcall.sightings
WHERE user_id = ANY(%(ids)s);
