-- name: select_cluster_roots
-- The roots of the clusters that these ids belong to, read without a lock. Passing the ids as JSON costs a worker a
-- fiftieth of what an array costs.
SELECT DISTINCT cluster_root
FROM rollbook.users
WHERE id = ANY(ARRAY(SELECT json_array_elements_text(%(ids)s::json)))
    AND cluster_root IS NOT NULL;

-- name: lock_cluster_roots
-- Lock these clusters, in id order; return the roots that still exist.
SELECT id
FROM rollbook.users
WHERE id = ANY(%(roots)s)
ORDER BY id
FOR UPDATE;

-- name: upsert
-- Keep the newest value per key; create and lock each user in the order of the ids, which is sorted; return the users
-- that belong to a cluster, those whose list of identify stamps is full, and those who may be too large: what is written
-- here is not compressed yet, so that its size is known without looking at it.
-- A column that is null says that all users have no stamp per key, one stamp for all keys, which is the last one and
-- that of their first identify, and no further identify.
-- A user who received every stored key anew, later than all before, needs no stamp per key: `base_stamp` covers them all.
WITH upserted AS (
    INSERT INTO rollbook.users AS u (
        id, profile, key_stamps, base_stamp, last_stamp, first_identified, identify_stamps
    )
    SELECT
        id,
        profile,
        coalesce(key_stamps, '{}'),
        coalesce(base_stamp, last_stamp),
        last_stamp,
        CASE WHEN %(first_identified)s::text IS NULL THEN last_stamp ELSE first_identified END,
        coalesce(identify_stamps, '')
    FROM ROWS FROM (
        unnest(string_to_array(%(ids)s, '/')),
        jsonb_array_elements(%(profiles)s::jsonb),
        jsonb_array_elements(%(key_stamps)s::jsonb),
        unnest(string_to_array(%(base_stamps)s, '/', '')),
        unnest(string_to_array(%(last_stamps)s, '/', '')),
        unnest(string_to_array(%(first_identified)s, '/', '')),
        unnest(string_to_array(%(identify_stamps)s, '/', ''))
    ) WITH ORDINALITY AS n (
        id, profile, key_stamps, base_stamp, last_stamp, first_identified, identify_stamps, ordinal
    )
    ORDER BY ordinal
    ON CONFLICT (id) DO UPDATE SET
        (profile, key_stamps, base_stamp) = (
            SELECT
                CASE
                    WHEN excluded.profile = '{}' THEN u.profile
                    WHEN later AND joined = u.profile THEN u.profile  -- what is stored out of line stays where it is
                    WHEN later THEN joined
                    ELSE u.profile || rollbook.newer_values(
                        excluded.profile, excluded.key_stamps, excluded.base_stamp,
                        u.profile, u.key_stamps, u.base_stamp
                    )
                END,
                CASE
                    WHEN excluded.profile = '{}' THEN u.key_stamps
                    WHEN later AND joined = excluded.profile THEN excluded.key_stamps
                    WHEN later THEN u.key_stamps
                        || rollbook.uniform_stamps(excluded.profile, excluded.base_stamp)
                        || excluded.key_stamps
                    ELSE u.key_stamps || rollbook.newer_stamps(
                        excluded.profile, excluded.key_stamps, excluded.base_stamp,
                        u.profile, u.key_stamps, u.base_stamp
                    )
                END,
                CASE WHEN later AND joined = excluded.profile THEN excluded.base_stamp ELSE u.base_stamp END
            FROM (
                SELECT
                    coalesce(u.last_stamp, '') < excluded.base_stamp AS later,
                    u.profile || excluded.profile AS joined
                OFFSET 0  -- so that both are computed once
            ) AS either
        ),
        last_stamp = greatest(u.last_stamp, excluded.last_stamp),
        first_identified = least(u.first_identified, excluded.first_identified),
        identify_stamps = CASE
            WHEN u.first_identified <> excluded.first_identified
                THEN excluded.identify_stamps
                    || greatest(u.first_identified, excluded.first_identified) || ' '
                    || u.identify_stamps
            ELSE excluded.identify_stamps || u.identify_stamps
        END
    RETURNING
        id,
        cluster_root,
        length(identify_stamps) > %(max_identify_characters)s AS is_full,
        pg_column_size(profile) + pg_column_size(key_stamps) > %(large_bytes)s AS is_large
)
SELECT id, cluster_root, is_full, is_large
FROM upserted
WHERE cluster_root IS NOT NULL
    OR is_full
    OR is_large;

-- name: select_members
-- What was received under the ids of these clusters, and under ids that are about to join one.
SELECT id, cluster_root, profile, base_stamp, key_stamps, first_identified, identify_stamps
FROM rollbook.users
WHERE (cluster_root IS NOT NULL AND cluster_root = ANY(%(roots)s))
    OR id = ANY(%(ids)s);

-- name: apply_newest
-- Apply updates to what readers see of users who exist, and return the roots of their clusters; not where a fact of the
-- user, or a delete or merge in the cluster, has a later stamp. An update that is so late that more deletes and merges
-- of anybody would have to be looked at than `most_events` is not applied either.
WITH new AS (
    SELECT n.root, n.profile, n.stamp COLLATE "C" AS stamp, coalesce(u.canonical_id, u.id) AS canonical_id
    FROM json_to_recordset(%(updates)s::json) AS n (id text, root text, profile jsonb, stamp text)
    JOIN rollbook.users AS u ON u.id = n.id
)
UPDATE rollbook.users AS u
SET resolved_profile = u.resolved_profile || new.profile,
    resolved_stamp = new.stamp
FROM new
WHERE u.id = new.canonical_id
    AND u.resolved_profile IS NOT NULL
    AND u.resolved_stamp < new.stamp
    AND NOT EXISTS (
        SELECT FROM rollbook.lifecycle_events AS event WHERE event.stamp > new.stamp OFFSET %(most_events)s
    )
    AND NOT EXISTS (
        SELECT
        FROM rollbook.lifecycle_events AS event
        JOIN rollbook.users AS named ON named.id = ANY(ARRAY[event.user_id, event.primary_id])
        WHERE event.stamp > new.stamp
            AND named.cluster_root = new.root
    )
RETURNING new.root;

-- name: update_resolved
-- Write how the members of clusters resolve, where that changed.
UPDATE rollbook.users AS u
SET cluster_root = n.cluster_root,
    resolved_profile = n.resolved_profile,
    resolved_stamp = n.resolved_stamp,
    canonical_id = n.canonical_id
FROM json_to_recordset(%(members)s::json) AS n (
    id text, cluster_root text, resolved_profile jsonb, resolved_stamp text, canonical_id text
)
WHERE u.id = n.id
    AND (u.cluster_root, u.resolved_profile, u.resolved_stamp, u.canonical_id)
        IS DISTINCT FROM (n.cluster_root, n.resolved_profile, n.resolved_stamp, n.canonical_id);
