-- name: trigger
-- Keep what the rows of a trigger share.
INSERT INTO rollbook.triggers (job_id, stamp, workflow, actor, tenant, categories, data)
SELECT job_id, stamp, workflow, actor, tenant, categories, data
FROM json_to_recordset(%(triggers)s::json) AS n (
    job_id text, stamp text, workflow text, actor text, tenant text, categories text[], data jsonb
)
ON CONFLICT DO NOTHING;

-- name: activity
-- Keep one activity for each recipient.
INSERT INTO rollbook.activities (id, job_id, stamp, recipient)
SELECT id, job_id, stamp, recipient
FROM json_to_recordset(%(activities)s::json) AS n (id uuid, job_id text, stamp text, recipient text)
ON CONFLICT DO NOTHING;

-- name: message
-- Keep one message for each recipient and channel.
INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
SELECT id, job_id, stamp, recipient, channel
FROM json_to_recordset(%(messages)s::json) AS n (
    id uuid, job_id text, stamp text, recipient text, channel text
)
ON CONFLICT DO NOTHING;

-- name: mark
-- Keep the newest state of each mark.
INSERT INTO rollbook.marks AS m (message_id, mark, stamp, is_set)
SELECT message_id, mark, stamp, is_set
FROM json_to_recordset(%(marks)s::json) AS n (message_id uuid, mark text, stamp text, is_set integer)
ORDER BY message_id, mark
ON CONFLICT (message_id, mark) DO UPDATE SET
    stamp = excluded.stamp,
    is_set = excluded.is_set
WHERE m.stamp < excluded.stamp;

-- name: known
-- When these ids stood for somebody, whatever became of them later.
SELECT id, first, '~'
FROM rollbook.users
WHERE id = ANY(%(names)s)
    AND family IS NULL
    AND first IS NOT NULL
UNION ALL
SELECT name, since, until
FROM rollbook.spans
WHERE name = ANY(%(names)s)
    AND known;
