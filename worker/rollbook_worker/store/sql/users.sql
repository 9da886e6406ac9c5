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
