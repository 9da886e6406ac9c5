-- name: insert
-- Note recipients of triggers that stood for no user.
INSERT INTO rollbook.unknown_recipients (stamp, recipient)
SELECT stamp, recipient
FROM json_to_recordset(%(recipients)s::json) AS n (stamp text, recipient text)
ON CONFLICT DO NOTHING;

-- name: was_unknown
-- Those of the noted that were addressed to an id that stood for no user.
WHERE NOT EXISTS (
        SELECT 1
        FROM rollbook.users AS u
        WHERE u.id = noted.recipient
            AND u.cluster_root IS NULL
            AND u.first_identified <= noted.stamp
    )
    AND NOT EXISTS (
        SELECT 1
        FROM rollbook.ownership_periods AS period
        WHERE period.user_id = noted.recipient
            AND period.existed
            AND noted.stamp >= period.valid_from
            AND noted.stamp < period.valid_to
    )

-- name: insert_of_erased
-- Note what was addressed to erased users after their delete, before the delete was known.
INSERT INTO rollbook.unknown_recipients (stamp, recipient)
SELECT noted.stamp, noted.recipient
FROM rollbook.activities AS noted
-- include: was_unknown
    AND noted.recipient = ANY(%(ids)s)
ON CONFLICT DO NOTHING;

-- name: delete_of_erased
-- Delete the notes of what was addressed to erased users before their delete.
DELETE FROM rollbook.unknown_recipients AS r
USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE r.recipient = n.id
    AND r.stamp < n.until;

-- name: forget
-- Delete what was addressed, before the horizon, to ids that stood for no user then and still do not; return how many
-- notes were looked at, how many rows were deleted, and their triggers.
WITH noted AS MATERIALIZED (
    SELECT stamp, recipient
    FROM rollbook.unknown_recipients
    WHERE stamp < %(horizon)s
    ORDER BY stamp, recipient
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), settled AS (
    DELETE FROM rollbook.unknown_recipients AS r
    USING noted
    WHERE r.stamp = noted.stamp
        AND r.recipient = noted.recipient
), unknown AS MATERIALIZED (
    SELECT stamp, recipient
    FROM noted
    -- include: was_unknown
), messages AS (
    DELETE FROM rollbook.messages AS m
    USING unknown
    WHERE m.recipient = unknown.recipient
        AND m.stamp = unknown.stamp
    RETURNING m.id
), engagements AS (
    DELETE FROM rollbook.engagements
    WHERE message_id IN (SELECT messages.id FROM messages)
), deliveries AS (
    DELETE FROM rollbook.deliveries
    WHERE message_id IN (SELECT messages.id FROM messages)
), activities AS (
    DELETE FROM rollbook.activities AS a
    USING unknown
    WHERE a.recipient = unknown.recipient
        AND a.stamp = unknown.stamp
    RETURNING a.job_id
)
SELECT
    (SELECT count(*) FROM noted),
    (SELECT count(*) FROM messages) + (SELECT count(*) FROM activities),
    (SELECT array_agg(DISTINCT job_id) FROM activities);
