-- The walks are templates, as those of `user_lists.sql`: what stands in braces comes from constants of
-- `rollbook.queries.job_list`.

-- name: walk_jobs
-- The jobs that match, and the last row that the walk looked at, if it ended before there were enough.
SELECT
    id, kind, digest, state, occurred_at, finished_at, duplicates, detail, trace_id,
    {filter} AS is_match,
    number = {scanned} AS is_stop
FROM (
    SELECT *, row_number() OVER (ORDER BY finished_at DESC, id DESC) AS number
    FROM rollbook.jobs
    WHERE {range}
        AND finished_at >= coalesce(%(since)s::timestamptz, '-infinity')
        AND finished_at <= coalesce(%(until)s::timestamptz, 'infinity')
        AND {position}
    ORDER BY finished_at DESC, id DESC
    LIMIT {scanned}
) AS scanned
WHERE ({filter})
    OR number = {scanned}
LIMIT {wanted}

-- name: walk_dead_letters
-- The same of dead letters, without their bodies.
SELECT
    id, digest, kind, code, reason, failed_at, trace_id,
    {filter} AS is_match,
    number = {scanned} AS is_stop
FROM (
    SELECT
        id, digest, kind, code, reason, failed_at, trace_id,
        row_number() OVER (ORDER BY failed_at DESC, id DESC, digest DESC) AS number
    FROM rollbook.dead_letters
    WHERE failed_at >= coalesce(%(since)s::timestamptz, '-infinity')
        AND failed_at <= coalesce(%(until)s::timestamptz, 'infinity')
        AND {position}
    ORDER BY failed_at DESC, id DESC, digest DESC
    LIMIT {scanned}
) AS scanned
WHERE ({filter})
    OR number = {scanned}
LIMIT {wanted}

-- name: ids_of_user
-- The ids that stand for the same user as this one.
SELECT member.id
FROM rollbook.users AS named
JOIN rollbook.users AS member ON member.cluster_root = named.cluster_root
WHERE named.id = %(user_id)s
    AND coalesce(member.canonical_id, member.id) = coalesce(named.canonical_id, named.id)
UNION
SELECT %(user_id)s::text

-- name: stamps_of_user
-- The stamps of all that is kept of some ids: of each user its keys and its identifies, versions of preference sets,
-- push tokens, engagement with all messages, deletes and merges; and of the activities and the engagement with single
-- messages, which may be many, the newest before a position.
SELECT 'user' AS source, listed.stamp, false AS is_limited
FROM rollbook.users AS u
CROSS JOIN LATERAL (
    SELECT unnest(ARRAY[u.first_identified, u.last_stamp, u.base_stamp]) AS stamp
    UNION
    SELECT string_to_table(rtrim(u.identify_stamps), ' ')
    UNION
    SELECT value FROM jsonb_each_text(u.key_stamps)
) AS listed
WHERE u.id = ANY(%(ids)s::text[])
    AND listed.stamp <> ''
UNION ALL
SELECT 'log', string_to_table(rtrim(identify_stamps), ' '), false
FROM rollbook.identify_log
WHERE user_id = ANY(%(ids)s::text[])
UNION ALL
SELECT 'preferences', stamp, false
FROM rollbook.preference_set_versions
WHERE user_id = ANY(%(ids)s::text[])
UNION ALL
SELECT 'events', stamp, false
FROM rollbook.lifecycle_events
WHERE user_id = ANY(%(ids)s::text[])
UNION ALL
SELECT 'events', stamp, false
FROM rollbook.lifecycle_events
WHERE primary_id IS NOT NULL
    AND primary_id = ANY(%(ids)s::text[])
UNION ALL
SELECT 'push tokens', stamp, false
FROM rollbook.push_token_changes
WHERE user_id = ANY(%(ids)s::text[])
UNION ALL
SELECT 'engagements', stamp, false
FROM rollbook.channel_engagements
WHERE user_id = ANY(%(ids)s::text[])
UNION ALL
SELECT 'engagements by ' || named.id, newest.stamp, true
FROM unnest(%(ids)s::text[]) AS named (id)
CROSS JOIN LATERAL (
    SELECT stamp
    FROM rollbook.engagements
    WHERE user_id <> ''
        AND user_id = named.id
        AND stamp < %(end)s
    ORDER BY stamp DESC
    LIMIT %(most)s
) AS newest
UNION ALL
SELECT 'activities of ' || named.id, newest.stamp, true
FROM unnest(%(ids)s::text[]) AS named (id)
CROSS JOIN LATERAL (
    SELECT stamp
    FROM rollbook.activities
    WHERE recipient = named.id
        AND stamp < %(end)s
    ORDER BY stamp DESC
    LIMIT %(most)s
) AS newest
UNION ALL
SELECT 'triggers by ' || named.id, newest.stamp, true
FROM unnest(%(ids)s::text[]) AS named (id)
CROSS JOIN LATERAL (
    SELECT stamp
    FROM rollbook.triggers
    WHERE actor IS NOT NULL
        AND actor = named.id
        AND stamp < %(end)s
    ORDER BY stamp DESC
    LIMIT %(most)s
) AS newest

-- name: unapplied_of_user
-- The jobs that name some ids and were not applied: deferred, rejected and cancelled ones, the newest before a position.
SELECT id, kind, digest, state, occurred_at, finished_at, duplicates, detail, trace_id
FROM rollbook.jobs
WHERE id = ANY(ARRAY(
        SELECT id
        FROM rollbook.jobs
        WHERE user_ids && %(ids)s::text[]
        UNION ALL
        SELECT id
        FROM rollbook.deferred_jobs
        WHERE user_ids && %(ids)s::text[]
    ))
    AND state = coalesce(%(state)s::text, state)
    AND kind = coalesce(%(kind)s::text, kind)
    AND occurred_at BETWEEN coalesce(%(since)s::bigint, occurred_at) AND coalesce(%(until)s::bigint, occurred_at)
    AND (occurred_at, id) <= (%(at)s::bigint, %(id)s::text)
    AND (id <> %(id)s::text OR occurred_at <> %(at)s::bigint OR %(key)s::bytea <> '')
ORDER BY occurred_at DESC, id DESC
LIMIT %(wanted)s

-- name: dead_letters_of_user
-- The same of the dead letters.
SELECT id, digest, kind, code, reason, failed_at, trace_id, occurred_at
FROM rollbook.dead_letters_of_users(%(ids)s::text[])
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND occurred_at BETWEEN coalesce(%(since)s::bigint, occurred_at) AND coalesce(%(until)s::bigint, occurred_at)
    AND (occurred_at, id COLLATE "C", digest) < (%(at)s::bigint, %(id)s::text, %(key)s::bytea)
ORDER BY occurred_at DESC, id COLLATE "C" DESC, digest DESC
LIMIT %(wanted)s

-- name: jobs_by_id
-- These jobs, as far as they are kept.
SELECT id, kind, digest, state, occurred_at, finished_at, duplicates, detail, trace_id
FROM rollbook.jobs
WHERE id = ANY(%(ids)s::text[])
    AND kind = coalesce(%(kind)s::text, kind)
    AND state = 'applied'
