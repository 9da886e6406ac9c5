-- name: ids
-- The ids that stand for a user now; of a user who is deleted and not erased yet, the ids that did.
WITH RECURSIVE mine AS (
    SELECT %(person)s::text COLLATE "C" AS id
    UNION
    SELECT event.user_id
    FROM mine
    JOIN rollbook.lifecycle_events AS event ON event.primary_id = mine.id
    LEFT JOIN rollbook.users AS secondary ON secondary.id = event.user_id
    WHERE secondary.canonical_id IS NOT DISTINCT FROM %(person)s::text
        OR (
            secondary.canonical_id IS NULL
            AND NOT EXISTS (SELECT 1 FROM rollbook.current_users AS other WHERE other.id IN (secondary.id, %(person)s))
        )
)
SELECT id
FROM mine
ORDER BY id

-- name: profiles
-- The values received under the ids, with their stamps.
SELECT id, profile, base_stamp, key_stamps, first_identified, last_stamp
FROM rollbook.users
WHERE id = ANY(%(ids)s::text[])
ORDER BY id

-- name: preference_sets
-- Every version of the preference sets of the ids.
SELECT user_id AS id, set_id, stamp, settings, changes
FROM rollbook.preference_set_versions
WHERE user_id = ANY(%(ids)s::text[])
ORDER BY stamp

-- name: push_tokens
-- The changes of push tokens of the ids.
SELECT user_id AS id, channel_id, stamp, token, device, is_added
FROM rollbook.push_token_changes
WHERE user_id = ANY(%(ids)s::text[])
ORDER BY stamp

-- name: push_tokens_sent
-- When the ids sent each push token last.
SELECT user_id AS id, channel_id, encode(token_hash, 'hex') AS token_hash, stamp
FROM rollbook.push_token_users
WHERE user_id = ANY(%(ids)s::text[])
ORDER BY stamp

-- name: identify_log
-- When the ids were identified.
SELECT user_id AS id, listed.stamp
FROM rollbook.identify_log
CROSS JOIN string_to_table(rtrim(identify_stamps), ' ') AS listed (stamp)
WHERE user_id = ANY(%(ids)s::text[])
UNION
SELECT id, listed.stamp
FROM rollbook.users
CROSS JOIN string_to_table(first_identified || ' ' || rtrim(identify_stamps), ' ') AS listed (stamp)
WHERE id = ANY(%(ids)s::text[])
    AND listed.stamp <> ''
ORDER BY stamp

-- name: lifecycle_events
-- The deletes and merges that name the ids.
SELECT stamp, user_id, primary_id
FROM rollbook.lifecycle_events
WHERE user_id = ANY(%(ids)s::text[])
    OR primary_id = ANY(%(ids)s::text[])
ORDER BY stamp

-- name: history
-- The part that messages and activities share: their triggers, and whose they are now.
JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id AND trigger.stamp = row.stamp
LEFT JOIN LATERAL (
    SELECT owner
    FROM rollbook.ownership
    WHERE user_id = row.recipient
        AND row.stamp >= valid_from
        AND row.stamp < valid_to
    LIMIT 1
) AS own ON true
WHERE row.recipient = ANY(%(ids)s::text[])
    AND (
        own.owner = %(person)s::text
        OR (own.owner IS NULL AND row.stamp > coalesce(%(begun)s::jsonb ->> row.recipient, ''))
    )
ORDER BY row.stamp, row.id

-- name: messages
-- The messages to the ids: allowed by preferences or not, owned by the user or by no user any more, but none of another
-- user who had an id before or after.
SELECT
    row.id,
    row.stamp,
    row.recipient,
    row.channel,
    own.owner IS NOT NULL AS is_owned,
    trigger.workflow,
    trigger.tenant,
    trigger.categories,
    trigger.data,
    trigger.actor,
    (
        SELECT jsonb_object_agg(engagement, jsonb_build_object('set', is_set, 'stamp', stamp) ORDER BY stamp)
        FROM rollbook.engagements
        WHERE message_id = row.id
            AND (user_id = '' OR user_id = ANY(%(ids)s::text[]))
    ) AS engagements,
    (
        SELECT jsonb_build_object(
            'channel', d.channel,
            'state', d.state,
            'reason', d.reason,
            'attempts', d.attempts,
            'created_at', d.created_at,
            'changed_at', d.changed_at
        )
        FROM rollbook.deliveries AS d
        WHERE d.message_id = row.id
    ) AS delivery
FROM rollbook.messages AS row
-- include: history

-- name: channel_engagements
-- What was said under the ids of all their messages at once.
SELECT user_id AS id, channel, engagement, stamp, is_set
FROM rollbook.channel_engagements
WHERE user_id = ANY(%(ids)s::text[])
ORDER BY stamp

-- name: other_engagements
-- Engagement recorded under the ids with messages that are addressed to none of them.
SELECT e.user_id AS id, e.message_id, e.engagement, e.stamp, e.is_set
FROM rollbook.engagements AS e
LEFT JOIN rollbook.messages AS m ON m.id = e.message_id AND m.recipient = ANY(%(ids)s::text[])
WHERE e.user_id = ANY(%(ids)s::text[])
    AND e.user_id <> ''
    AND m.id IS NULL
ORDER BY e.stamp

-- name: activities
-- The activities of the ids, likewise.
SELECT
    row.id,
    row.stamp,
    row.recipient,
    own.owner IS NOT NULL AS is_owned,
    trigger.workflow,
    trigger.tenant,
    trigger.categories,
    trigger.data,
    trigger.actor
FROM rollbook.activities AS row
-- include: history

-- name: caused
-- The triggers that the ids caused, likewise; how many others they concerned, but not whom.
SELECT
    trigger.stamp,
    trigger.actor,
    own.owner IS NOT NULL AS is_owned,
    trigger.workflow,
    trigger.tenant,
    trigger.categories,
    trigger.data,
    (
        SELECT count(*)
        FROM rollbook.activities AS row
        WHERE row.job_id = trigger.job_id
            AND row.stamp = trigger.stamp
    ) AS recipients,
    (
        SELECT count(*)
        FROM rollbook.messages AS row
        WHERE row.job_id = trigger.job_id
            AND row.stamp = trigger.stamp
    ) AS messages
FROM rollbook.triggers AS trigger
LEFT JOIN LATERAL (
    SELECT owner
    FROM rollbook.ownership
    WHERE user_id = trigger.actor
        AND trigger.stamp >= valid_from
        AND trigger.stamp < valid_to
    LIMIT 1
) AS own ON true
WHERE trigger.actor = ANY(%(ids)s::text[])
    AND (
        own.owner = %(person)s::text
        OR (own.owner IS NULL AND trigger.stamp > coalesce(%(begun)s::jsonb ->> trigger.actor, ''))
    )
ORDER BY trigger.stamp

-- name: skipped
-- Triggers that skipped one of the ids, because it stood for no user then.
SELECT id, kind, occurred_at, state, finished_at, detail -> 'skipped' AS skipped
FROM rollbook.jobs
WHERE detail ? 'skipped'
    AND detail -> 'skipped' ?| %(ids)s::text[]
ORDER BY occurred_at, id

-- name: unapplied_jobs
-- Rejected and cancelled jobs that name one of the ids.
SELECT id, kind, state, occurred_at, finished_at
FROM rollbook.jobs
WHERE user_ids && %(ids)s::text[]
ORDER BY occurred_at, id

-- name: deferred_jobs
-- Deferred jobs that name one of the ids.
SELECT id, due_at, body
FROM rollbook.deferred_jobs
WHERE user_ids && %(ids)s::text[]
ORDER BY due_at, id

-- name: dead_letters
-- Dead letters that name one of the ids.
SELECT id, kind, code, reason, failed_at, body
FROM rollbook.dead_letters
WHERE user_ids && %(ids)s::text[]
ORDER BY failed_at, id
