-- name: cluster
-- The cluster that an id belongs to, if it belongs to one.
SELECT cluster_root
FROM rollbook.users
WHERE id = %(id)s

-- name: member
-- An id, and what was received under it.
SELECT id, canonical_id, profile, base_stamp, key_stamps
FROM rollbook.users
WHERE id = %(id)s

-- name: members
-- The ids of a cluster, and what was received under them.
SELECT id, canonical_id, profile, base_stamp, key_stamps
FROM rollbook.users
WHERE cluster_root IS NOT NULL
    AND cluster_root = %(root)s
ORDER BY id

-- name: member_ids
-- The ids of a cluster.
SELECT id
FROM rollbook.users
WHERE cluster_root IS NOT NULL
    AND cluster_root = %(root)s
ORDER BY id

-- name: versions
-- Every version of the preference sets of the ids.
SELECT user_id, set_id, stamp, settings, changes
FROM rollbook.preference_set_versions
WHERE user_id = ANY(%(ids)s::text[])

-- name: token_changes
-- The changes of push tokens of the ids.
SELECT user_id, channel_id, stamp, token, device, is_added
FROM rollbook.push_token_changes
WHERE user_id = ANY(%(ids)s::text[])

-- name: lifecycle_events
-- The deletes and merges that name the ids.
SELECT stamp, user_id, primary_id, keep_opt_outs, merge_tokens
FROM rollbook.lifecycle_events
WHERE user_id = ANY(%(ids)s::text[])
UNION
SELECT stamp, user_id, primary_id, keep_opt_outs, merge_tokens
FROM rollbook.lifecycle_events
WHERE primary_id = ANY(%(ids)s::text[])

-- name: periods
-- Who owned what was addressed to the ids, and when: as in the view `ownership`, with the periods of no user.
SELECT id AS user_id, first_identified AS valid_from, '~' COLLATE "C" AS valid_to, id AS owner, true AS existed
FROM rollbook.users
WHERE id = ANY(%(ids)s::text[])
    AND cluster_root IS NULL
    AND first_identified IS NOT NULL
UNION ALL
SELECT user_id, valid_from, valid_to, owner, existed
FROM rollbook.ownership_periods
WHERE user_id = ANY(%(ids)s::text[])

-- name: listed_periods
-- Some of them, in order.
-- include: periods
ORDER BY user_id, valid_from
LIMIT %(limit)s

-- name: user
-- Whether there is a user of this id.
SELECT
FROM rollbook.current_users
WHERE id = %(id)s

-- name: message
-- One message as it was made, whether a user owns it or not.
SELECT
    row.id,
    row.job_id,
    row.stamp,
    row.recipient,
    row.channel,
    trigger.workflow,
    trigger.tenant,
    trigger.categories
FROM rollbook.messages AS row
JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id AND trigger.stamp = row.stamp
WHERE row.id = %(id)s

-- name: period_at
-- Who owns what was addressed to an id at a stamp.
SELECT owner, existed
FROM (
    -- include: periods
) AS period
WHERE valid_from <= %(stamp)s
    AND valid_to > %(stamp)s
