-- name: families_of
-- The families that these ids belong to, read without a lock. As JSON the ids cost a worker a fiftieth of an array.
SELECT DISTINCT family
FROM rollbook.users
WHERE id = ANY(ARRAY(SELECT json_array_elements_text(%(ids)s::json)))
    AND family IS NOT NULL;

-- name: lock_heads
-- Hold these families, in id order; says which of the heads are still there to be held.
SELECT id
FROM rollbook.users
WHERE id = ANY(%(heads)s)
ORDER BY id
FOR UPDATE;

-- name: tell
-- Keep the newest value per key; create and lock each user in id order; say who belongs to a family, and whose list of
-- sightings is full.
-- A user told every known key anew, later than all before, needs no stamp per key: `since` stamps them all.
WITH told AS (
    INSERT INTO rollbook.users AS u (id, data, stamps, since, last, first, seen)
    SELECT id, data, stamps, since, last, first, seen
    FROM json_to_recordset(%(users)s::json) AS n (
        id text, data jsonb, stamps jsonb, since text, last text, first text, seen text
    )
    ORDER BY id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET
        (data, stamps, since) = (
            SELECT
                CASE
                    WHEN later AND joined = u.data THEN u.data  -- what is stored out of line stays where it is
                    WHEN later THEN joined
                    ELSE u.data || rollbook.newer_values(
                        excluded.data, excluded.stamps, excluded.since, u.data, u.stamps, u.since
                    )
                END,
                CASE
                    WHEN later AND joined = excluded.data THEN excluded.stamps
                    WHEN later THEN u.stamps || rollbook.stamped(excluded.data, excluded.since) || excluded.stamps
                    ELSE u.stamps || rollbook.newer_stamps(
                        excluded.data, excluded.stamps, excluded.since, u.data, u.stamps, u.since
                    )
                END,
                CASE WHEN later AND joined = excluded.data THEN excluded.since ELSE u.since END
            FROM (
                SELECT coalesce(u.last, '') < excluded.since AS later, u.data || excluded.data AS joined
                OFFSET 0  -- so that both are worked out once
            ) AS either
        ),
        last = greatest(u.last, excluded.last),
        first = least(u.first, excluded.first),
        seen = CASE
            WHEN u.first <> excluded.first
                THEN excluded.seen || greatest(u.first, excluded.first) || ' ' || u.seen
            ELSE excluded.seen || u.seen
        END
    RETURNING id, family, length(seen) > %(seen_characters)s AS is_full
)
SELECT id, family, is_full
FROM told
WHERE family IS NOT NULL
    OR is_full;

-- name: members
-- The facts told under the ids of these families, and under ids that are about to join one.
SELECT id, family, data, since, stamps, first, seen
FROM rollbook.users
WHERE (family IS NOT NULL AND family = ANY(%(heads)s))
    OR id = ANY(%(ids)s);

-- name: show
-- Write how the members of families are seen, where that changed.
UPDATE rollbook.users AS u
SET family = n.family,
    shown = n.shown,
    shown_at = n.shown_at,
    goes_to = n.goes_to
FROM json_to_recordset(%(members)s::json) AS n (
    id text, family text, shown jsonb, shown_at text, goes_to text
)
WHERE u.id = n.id
    AND (u.family, u.shown, u.shown_at, u.goes_to) IS DISTINCT FROM (n.family, n.shown, n.shown_at, n.goes_to);
