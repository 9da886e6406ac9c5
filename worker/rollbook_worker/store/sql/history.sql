-- name: insert_triggers
-- Keep what the rows of a trigger share; those that were there already are not returned.
INSERT INTO rollbook.triggers (job_id, stamp, workflow, had_actor, actor, tenant, categories, data, trace)
SELECT job_id, stamp, workflow, actor IS NOT NULL, actor, tenant, categories, data, trace
FROM json_to_recordset(%(triggers)s::json) AS n (
    job_id text, stamp text, workflow text, actor text, tenant text, categories text[], data jsonb, trace text
)
ON CONFLICT DO NOTHING
RETURNING job_id;

-- name: select_triggers
-- The triggers of these jobs.
SELECT job_id, stamp
FROM rollbook.triggers
WHERE job_id = ANY(%(ids)s);

-- name: insert_activities
-- Keep one activity for each recipient.
INSERT INTO rollbook.activities (id, job_id, stamp, recipient)
SELECT id, job_id, stamp, recipient
FROM json_to_recordset(%(activities)s::json) AS n (id uuid, job_id text, stamp text, recipient text)
ON CONFLICT DO NOTHING;

-- name: insert_messages
-- Keep one message for each recipient and channel.
INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
SELECT id, job_id, stamp, recipient, channel
FROM json_to_recordset(%(messages)s::json) AS n (
    id uuid, job_id text, stamp text, recipient text, channel text
)
ON CONFLICT DO NOTHING;

-- name: upsert_engagements
-- Keep the newest state of each engagement.
INSERT INTO rollbook.engagements AS e (message_id, engagement, user_id, stamp, is_set)
SELECT message_id, engagement, user_id, stamp, is_set
FROM json_to_recordset(%(engagements)s::json) AS n (
    message_id uuid, engagement text, user_id text, stamp text, is_set boolean
)
ORDER BY message_id, engagement, user_id COLLATE "C"
ON CONFLICT (message_id, engagement, user_id) DO UPDATE SET
    stamp = excluded.stamp,
    is_set = excluded.is_set
WHERE e.stamp < excluded.stamp;

-- name: upsert_channel_engagements
-- Keep the newest state of each engagement of all messages on a channel.
INSERT INTO rollbook.channel_engagements AS e (user_id, channel, engagement, stamp, is_set)
SELECT user_id, channel, engagement, stamp, is_set
FROM json_to_recordset(%(engagements)s::json) AS n (
    user_id text, channel text, engagement text, stamp text, is_set boolean
)
ON CONFLICT (user_id, channel, engagement) DO UPDATE SET
    stamp = excluded.stamp,
    is_set = excluded.is_set
WHERE e.stamp < excluded.stamp;

-- name: select_channel_engagements
-- What was said under these ids of all messages at once.
SELECT user_id, channel, engagement, stamp, is_set
FROM rollbook.channel_engagements
WHERE user_id = ANY(%(ids)s);

-- name: select_resolved_channel_engagements
-- What was said of all messages at once that were addressed to these ids, as their clusters resolve it.
SELECT user_id, channel, engagement, stamp, is_set
FROM rollbook.resolved_channel_engagements
WHERE user_id = ANY(%(ids)s);

-- name: delete_resolved_channel_engagements
-- Delete the same.
DELETE FROM rollbook.resolved_channel_engagements
WHERE user_id = ANY(%(ids)s);

-- name: insert_resolved_channel_engagements
-- Write the same.
INSERT INTO rollbook.resolved_channel_engagements (user_id, channel, engagement, stamp, is_set)
SELECT user_id, channel, engagement, stamp, is_set
FROM json_to_recordset(%(engagements)s::json) AS n (
    user_id text, channel text, engagement text, stamp text, is_set boolean
);

-- name: select_existence
-- When these ids stood for a user, whatever happened to that user later.
SELECT id, first_identified, '~'
FROM rollbook.users
WHERE id = ANY(%(ids)s)
    AND cluster_root IS NULL
    AND first_identified IS NOT NULL
UNION ALL
SELECT user_id, valid_from, valid_to
FROM rollbook.ownership_periods
WHERE user_id = ANY(%(ids)s)
    AND existed;

-- name: select_recipients
SELECT DISTINCT recipient FROM rollbook.messages WHERE id = ANY(%(ids)s);
