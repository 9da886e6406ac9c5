-- name: move_sightings
-- Move the lists of these users to the table but for the newest, without what can decide nothing any more (see
-- compaction).
WITH moved AS (
    INSERT INTO rollbook.sightings AS s (user_id, last, seen)
    SELECT u.id, max(listed.stamp), string_agg(listed.stamp || ' ', '')
    FROM rollbook.users AS u
    CROSS JOIN string_to_table(rtrim(u.seen), ' ') AS listed (stamp)
    WHERE u.id = ANY(%(ids)s)
        AND listed.stamp <> u.last
        AND (u.family IS NOT NULL OR listed.stamp >= %(horizon)s COLLATE "C")
    GROUP BY u.id
    ON CONFLICT (user_id, last) DO UPDATE SET
        seen = s.seen || excluded.seen
)
UPDATE rollbook.users
SET seen = CASE WHEN position(last IN seen) > 0 THEN last || ' ' ELSE '' END
WHERE id = ANY(%(ids)s);

-- name: sightings_of
-- When these users were told of, beside what their rows list.
SELECT user_id, seen
FROM rollbook.sightings
WHERE user_id = ANY(%(ids)s);
