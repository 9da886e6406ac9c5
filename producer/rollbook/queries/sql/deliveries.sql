-- name: columns
-- A delivery, with whose it is now.
SELECT
    d.message_id AS id,
    d.channel,
    d.workflow,
    d.state,
    d.reason,
    d.attempts,
    d.due_at,
    d.created_at,
    d.changed_at,
    own.owner AS user_id

-- name: owner
-- Whose a message is now.
LEFT JOIN LATERAL (
    SELECT owner
    FROM rollbook.ownership
    WHERE user_id = row.recipient
        AND row.stamp >= valid_from
        AND row.stamp < valid_to
    LIMIT 1
) AS own ON true

-- name: by_id
-- One delivery.
-- include: columns
FROM rollbook.deliveries AS d
LEFT JOIN rollbook.messages AS row ON row.id = d.message_id
-- include: owner
WHERE d.message_id = %(id)s

-- name: done
-- A page of the deliveries in one final state, those that changed last first, and the last row that was looked at, if
-- the walk ended before there were enough. A template, as the walks of `job_lists.sql`.
-- include: columns
, d.is_match, d.is_stop
FROM (
    SELECT *, {filter} AS is_match, number = {scanned} AS is_stop
    FROM (
        SELECT *, row_number() OVER (ORDER BY changed_at DESC, message_id DESC) AS number
        FROM rollbook.deliveries
        WHERE state = %(state)s
            AND due_at IS NULL
            AND (changed_at, message_id)
                < (coalesce(%(changed_at)s::timestamptz, 'infinity'), %(id)s::uuid)
        ORDER BY changed_at DESC, message_id DESC
        LIMIT {scanned}
    ) AS scanned
    WHERE {filter}
        OR number = {scanned}
    LIMIT {wanted}
) AS d
LEFT JOIN rollbook.messages AS row ON row.id = d.message_id
-- include: owner
ORDER BY d.changed_at DESC, d.message_id DESC

-- name: open
-- A page of the deliveries that wait or are claimed. There is no index in this order: most of them are few at a time.
-- include: columns
FROM (
    SELECT *
    FROM rollbook.deliveries
    WHERE due_at IS NOT NULL
        AND state = %(state)s
        AND (changed_at, message_id) < (coalesce(%(changed_at)s::timestamptz, 'infinity'), %(id)s::uuid)
        AND (%(channel)s::text IS NULL OR channel = %(channel)s::text)
    ORDER BY changed_at DESC, message_id DESC
    LIMIT %(limit)s
) AS d
LEFT JOIN rollbook.messages AS row ON row.id = d.message_id
-- include: owner
ORDER BY d.changed_at DESC, d.message_id DESC

-- name: of_user
-- A page of the deliveries of a user's messages, those of the newest messages first.
WITH period AS MATERIALIZED (
    SELECT user_id, valid_from, valid_to
    FROM rollbook.ownership
    WHERE owner = %(user_id)s
)
-- include: columns
, d.stamp
FROM (
    SELECT one.*
    FROM period
    CROSS JOIN LATERAL (
        SELECT d.*, row.stamp
        FROM rollbook.messages AS row
        JOIN rollbook.deliveries AS d ON d.message_id = row.id
        WHERE row.recipient = period.user_id
            AND row.stamp >= period.valid_from
            AND row.stamp < period.valid_to
            AND (row.stamp, row.id) < (%(stamp)s::text, %(id)s::uuid)
            AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
            AND (%(channel)s::text IS NULL OR d.channel = %(channel)s::text)
        ORDER BY row.stamp DESC, row.id DESC
        LIMIT %(limit)s
    ) AS one
    ORDER BY stamp DESC, message_id DESC
    LIMIT %(limit)s
) AS d
CROSS JOIN (SELECT %(user_id)s::text AS owner) AS own
ORDER BY d.stamp DESC, d.message_id DESC
