-- name: families_of
-- The families that these ids belong to, read without a lock.
SELECT DISTINCT family
FROM rollcall.users
WHERE id = ANY(%(ids)s)
    AND family IS NOT NULL;

-- name: lock_heads
-- Hold these families, in id order; says which of the heads are still there to be held.
SELECT id
FROM rollcall.users
WHERE id = ANY(%(heads)s)
ORDER BY id
FOR UPDATE;

-- name: tell
-- Keep the newest value per key; create and lock each user in id order; say who belongs to a family, and who is new.
-- A user told every known key anew, later than all before, needs no stamp per key: `since` stamps them all.
INSERT INTO rollcall.users AS u (id, data, since, stamps, first, last)
SELECT id, data, since, stamps, first, last
FROM json_to_recordset(%(users)s::json) AS n (
    id text, data jsonb, since text, stamps jsonb, first text, last text
)
ORDER BY id COLLATE "C"
ON CONFLICT (id) DO UPDATE SET
    data = u.data || CASE
        WHEN coalesce(u.last, '') < excluded.since THEN excluded.data
        ELSE rollcall.newer('value', excluded.data, excluded.stamps, excluded.since, u.data, u.stamps, u.since)
    END,
    stamps = CASE
        WHEN coalesce(u.last, '') < excluded.since
            AND u.data - ARRAY(SELECT jsonb_object_keys(excluded.data)) = '{}' THEN excluded.stamps
        ELSE u.stamps
            || rollcall.newer('stamp', excluded.data, excluded.stamps, excluded.since, u.data, u.stamps, u.since)
    END,
    since = CASE
        WHEN coalesce(u.last, '') < excluded.since
            AND u.data - ARRAY(SELECT jsonb_object_keys(excluded.data)) = '{}' THEN excluded.since
        ELSE u.since
    END,
    born = CASE
        WHEN excluded.first < u.first THEN coalesce(u.born, u.first)
        ELSE u.born
    END,
    first = least(u.first, excluded.first),
    last = greatest(u.last, excluded.last)
RETURNING id, family, xmax = 0 AS is_new;

-- name: members
-- The facts told under the ids of these families, and under ids that are about to join one.
SELECT id, family, data, since, stamps, first, born
FROM rollcall.users
WHERE (family IS NOT NULL AND family = ANY(%(heads)s))
    OR id = ANY(%(ids)s);

-- name: show
-- Write how the members of families are seen, where that changed.
UPDATE rollcall.users AS u
SET family = n.family,
    shown = n.shown,
    shown_at = n.shown_at,
    goes_to = n.goes_to
FROM json_to_recordset(%(members)s::json) AS n (
    id text, family text, shown jsonb, shown_at text, goes_to text
)
WHERE u.id = n.id
    AND (u.family, u.shown, u.shown_at, u.goes_to) IS DISTINCT FROM (n.family, n.shown, n.shown_at, n.goes_to);
