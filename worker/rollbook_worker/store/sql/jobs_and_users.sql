-- name: entered_jobs
-- Enter jobs, in id order; those that were there already are not returned.
INSERT INTO rollbook.jobs (
    id, kind, digest, state, occurred_at, finished_at, detail, user_ids, requested_at, trace_id
)
SELECT
    id, kind, decode(digest, 'hex'), state, occurred_at, rollbook.from_microseconds(%(now)s), detail, user_ids,
    CASE WHEN user_ids IS NOT NULL THEN coalesce(requested_at, %(now)s) END, trace_id
FROM json_to_recordset(%(jobs)s::json) AS n (
    id text, kind text, digest text, state text, occurred_at bigint, detail jsonb, user_ids text[],
    requested_at bigint, trace_id uuid
)
ORDER BY id COLLATE "C"
ON CONFLICT DO NOTHING
RETURNING id

-- name: enter_jobs
-- Enter jobs. Also return which of some users belong to clusters, with the roots, read without a lock:
-- `select_cluster_roots` would be one more round trip of every transaction.
WITH entered AS (
-- include: entered_jobs
)
SELECT 'entered' AS what, id, NULL AS cluster_root
FROM entered
UNION ALL
SELECT 'clustered', id, cluster_root
FROM rollbook.users
WHERE id = ANY(ARRAY(SELECT json_array_elements_text(%(users)s::json)))
    AND cluster_root IS NOT NULL;

-- name: user_rows
-- The first part of the upsert of users: the new rows.
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

-- name: newest_values
-- The second part of the upsert of users: keep the newest value per key.
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

-- name: upsert_users
-- Keep the newest value per key; create and lock each user in the order of the ids, which is sorted; return the users
-- that belong to a cluster, those whose list of identify stamps is full, and those who may be too large: what is written
-- here is not compressed yet, so that its size is known without looking at it.
-- A column that is null says that all users have no stamp per key, one stamp for all keys, which is the last one and
-- that of their first identify, and no further identify.
-- A user who received every stored key anew, later than all before, needs no stamp per key: `base_stamp` covers them all.
WITH upserted AS (
-- include: user_rows
-- include: newest_values
)
SELECT id, cluster_root, is_full, is_large
FROM upserted
WHERE cluster_root IS NOT NULL
    OR is_full
    OR is_large;

-- name: enter_jobs_and_upsert_users
-- Both in one round trip, for a few jobs with a user each: upsert the users of the jobs that were not there already, if
-- none of the users belongs to a cluster. In a stamp 14 characters come before the id of the job, and 5 after it.
WITH entered AS (
-- include: entered_jobs
), clustered AS (
    SELECT id, cluster_root
    FROM rollbook.users
    WHERE id = ANY(ARRAY(SELECT json_array_elements_text(%(users)s::json)))
        AND cluster_root IS NOT NULL
), upserted AS (
-- include: user_rows
    WHERE left(substr(last_stamp, 15), -5) IN (SELECT entered.id FROM entered)
        AND NOT EXISTS (SELECT FROM clustered)
-- include: newest_values
)
SELECT 'entered' AS what, id, NULL AS cluster_root, false AS is_full, false AS is_large
FROM entered
UNION ALL
SELECT 'clustered', id, cluster_root, false, false
FROM clustered
UNION ALL
SELECT 'upserted', id, cluster_root, is_full, is_large
FROM upserted
WHERE cluster_root IS NOT NULL
    OR is_full
    OR is_large;
