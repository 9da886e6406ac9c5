-- name: ids
-- The ids of a person: those that stand for it now. Of one that is deleted and not erased yet, those that did.
WITH RECURSIVE mine AS (
    SELECT CAST(:person AS text) COLLATE "C" AS id
    UNION
    SELECT ending.ended
    FROM mine
    JOIN rollbook.endings AS ending ON ending.primary_id = mine.id
    LEFT JOIN rollbook.users AS ended ON ended.id = ending.ended
    WHERE ended.goes_to IS NOT DISTINCT FROM CAST(:person AS text)
        OR (
            ended.goes_to IS NULL
            AND NOT EXISTS (SELECT 1 FROM rollbook.current_users AS other WHERE other.id IN (ended.id, :person))
        )
)
SELECT id
FROM mine
ORDER BY id

-- name: told
-- What was told under the ids, with the stamps.
SELECT id, data, since, stamps, first, last
FROM rollbook.users
WHERE id = ANY(CAST(:ids AS text[]))
ORDER BY id

-- name: choices
-- Every preference set told under the ids.
SELECT user_id AS id, set_id, stamp, settings
FROM rollbook.choices
WHERE user_id = ANY(CAST(:ids AS text[]))
ORDER BY stamp

-- name: sightings
-- When the ids were told of.
SELECT user_id AS id, listed.stamp
FROM rollbook.sightings
CROSS JOIN string_to_table(rtrim(seen), ' ') AS listed (stamp)
WHERE user_id = ANY(CAST(:ids AS text[]))
UNION
SELECT id, listed.stamp
FROM rollbook.users
CROSS JOIN string_to_table(first || ' ' || rtrim(seen), ' ') AS listed (stamp)
WHERE id = ANY(CAST(:ids AS text[]))
    AND listed.stamp <> ''
ORDER BY stamp

-- name: endings
-- The deletes and merges that name the ids.
SELECT stamp, ended, primary_id
FROM rollbook.endings
WHERE ended = ANY(CAST(:ids AS text[]))
    OR primary_id = ANY(CAST(:ids AS text[]))
ORDER BY stamp

-- name: messages
-- What was sent to the ids: wanted or not, and what belongs to nobody any more, but nothing of whoever had an id before
-- or after.
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
        SELECT jsonb_object_agg(mark, jsonb_build_object('set', is_set = 1, 'stamp', stamp))
        FROM rollbook.marks
        WHERE message_id = row.id
    ) AS marks
FROM rollbook.messages AS row
JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id
LEFT JOIN rollbook.ownership AS own
    ON own.name = row.recipient AND row.stamp >= own.since AND row.stamp < own.until
WHERE row.recipient = ANY(CAST(:ids AS text[]))
    AND (
        own.owner = CAST(:person AS text)
        OR (own.owner IS NULL AND row.stamp > coalesce(CAST(:begun AS jsonb) ->> row.recipient, ''))
    )
ORDER BY row.stamp, row.id

-- name: activities
-- What was triggered for the ids, likewise.
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
JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id
LEFT JOIN rollbook.ownership AS own
    ON own.name = row.recipient AND row.stamp >= own.since AND row.stamp < own.until
WHERE row.recipient = ANY(CAST(:ids AS text[]))
    AND (
        own.owner = CAST(:person AS text)
        OR (own.owner IS NULL AND row.stamp > coalesce(CAST(:begun AS jsonb) ->> row.recipient, ''))
    )
ORDER BY row.stamp, row.id

-- name: caused
-- What was triggered by the ids, likewise; how many others it concerned, but not whom.
SELECT
    trigger.stamp,
    trigger.actor,
    own.owner IS NOT NULL AS is_owned,
    trigger.workflow,
    trigger.tenant,
    trigger.categories,
    trigger.data,
    (SELECT count(*) FROM rollbook.activities AS row WHERE row.job_id = trigger.job_id) AS recipients,
    (SELECT count(*) FROM rollbook.messages AS row WHERE row.job_id = trigger.job_id) AS messages
FROM rollbook.triggers AS trigger
LEFT JOIN rollbook.ownership AS own
    ON own.name = trigger.actor AND trigger.stamp >= own.since AND trigger.stamp < own.until
WHERE trigger.actor = ANY(CAST(:ids AS text[]))
    AND (
        own.owner = CAST(:person AS text)
        OR (own.owner IS NULL AND trigger.stamp > coalesce(CAST(:begun AS jsonb) ->> trigger.actor, ''))
    )
ORDER BY trigger.stamp

-- name: skipped
-- Triggers that skipped one of the ids, for it was nobody then.
SELECT id, kind, occurred_at, state, finished_at, detail -> 'skipped' AS skipped
FROM rollbook.jobs
WHERE detail ? 'skipped'
    AND detail -> 'skipped' ?| CAST(:ids AS text[])
ORDER BY occurred_at, id

-- name: deferred
-- Deferred jobs whose text has one of the ids.
SELECT id, due_at, body
FROM rollbook.deferred
WHERE EXISTS (SELECT 1 FROM unnest(CAST(:texts AS text[])) AS quoted WHERE position(quoted IN body) > 0)
ORDER BY due_at, id

-- name: letters
-- Dead letters whose text has one of the ids.
SELECT id, kind, code, reason, failed_at, body
FROM rollbook.dead_letters
WHERE EXISTS (
    SELECT 1
    FROM unnest(CAST(:texts AS text[])) AS quoted
    WHERE position(convert_to(quoted, 'UTF8') IN body) > 0
)
ORDER BY failed_at, id
