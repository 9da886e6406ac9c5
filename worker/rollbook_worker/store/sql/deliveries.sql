-- name: messages_with_deliveries
-- One message for each recipient and channel; of those that are new, and leave, a delivery. A plan says of a trigger and
-- a channel how its messages leave, and which they are. Workers use no hash joins, and a nested loop over all messages
-- and plans would cost more than their rows, so this is a hashed subplan; a plain IN would be made a join.
WITH made AS (
    INSERT INTO rollbook.messages (id, job_id, stamp, recipient, channel)
    SELECT id, job_id, stamp, recipient, channel
    FROM json_to_recordset(%(messages)s::json) AS n (
        id uuid, job_id text, stamp text, recipient text, channel text
    )
    ON CONFLICT DO NOTHING
    RETURNING id
), plan AS MATERIALIZED (
    SELECT
        message_ids,
        delivered_by,
        workflow,
        priority,
        CASE WHEN due_at IS NULL THEN 'skipped' ELSE 'pending' END AS state,
        CASE WHEN due_at IS NULL THEN 'too old' END AS reason,
        rollbook.from_microseconds(due_at) AS due_at,
        rollbook.from_microseconds(expires_at) AS expires_at,
        rollbook.from_microseconds(%(now)s) AS created_at
    FROM json_to_recordset(%(plans)s::json) AS p (
        message_ids uuid[], delivered_by text, workflow text, priority smallint, due_at bigint, expires_at bigint
    )
)
INSERT INTO rollbook.deliveries (
    message_id, channel, workflow, priority, state, reason, due_at, expires_at, created_at, changed_at
)
SELECT
    message.id, delivered_by, workflow, priority, state, reason, due_at, expires_at, created_at, created_at
FROM plan
CROSS JOIN LATERAL unnest(plan.message_ids) AS message (id)
WHERE coalesce(message.id IN (SELECT made.id FROM made), false)

-- name: insert_messages
-- Keep these, and fail if a new message has a delivery already.
-- include: messages_with_deliveries
;

-- name: insert_messages_and_missing_deliveries
-- Keep these, and leave a delivery as it is that is there already. To look for it takes a fifth of what a delivery costs.
-- include: messages_with_deliveries
ON CONFLICT DO NOTHING;

-- name: cancel_of_deleted
-- Cancel what waits for users who are deleted now. A delivery that a sender is claiming is left to the claim, which
-- finds no owner.
WITH gone AS MATERIALIZED (
    SELECT d.message_id
    FROM rollbook.users AS deleted
    JOIN rollbook.users AS member ON member.cluster_root = deleted.cluster_root
    JOIN rollbook.messages AS m ON m.recipient = member.id AND m.stamp >= %(since)s
    JOIN rollbook.deliveries AS d ON d.message_id = m.id AND d.state IN ('pending', 'failed')
    WHERE deleted.id = ANY(%(ids)s)
        AND NOT EXISTS (
            SELECT
            FROM rollbook.ownership AS own
            WHERE own.user_id = m.recipient
                AND m.stamp >= own.valid_from
                AND m.stamp < own.valid_to
        )
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE rollbook.deliveries AS d
SET state = 'cancelled',
    reason = 'user deleted',
    due_at = NULL,
    waits_for = NULL,
    changed_at = now()
FROM gone
WHERE d.message_id = gone.message_id;

-- name: find_waiting
-- Whether a delivery waits for one of these users. It is asked with each batch of identifies, so it is cheap to plan too.
SELECT EXISTS (
    SELECT
    FROM rollbook.deliveries
    WHERE waits_for = ANY(ARRAY(SELECT json_array_elements_text(%(ids)s::json)))
        AND expires_at > rollbook.from_microseconds(%(now)s)
);

-- name: wake
-- Let deliveries be claimed at once whose recipients these users make known, or who can be reached now; return their
-- channels. One that a sender is claiming is left to the claim. `roots` are the clusters of the users.
WITH changed AS MATERIALIZED (
    SELECT json_array_elements_text(%(ids)s::json) COLLATE "C" AS id
    UNION
    SELECT id
    FROM rollbook.users
    WHERE cluster_root = ANY(%(roots)s)
), woken AS MATERIALIZED (
    SELECT d.message_id
    FROM changed
    JOIN rollbook.deliveries AS d
        ON d.waits_for = changed.id AND d.expires_at > rollbook.from_microseconds(%(now)s)
    JOIN rollbook.messages AS m ON m.id = d.message_id
    WHERE EXISTS (
        SELECT
        FROM rollbook.ownership AS own
        JOIN rollbook.current_users AS person ON person.id = own.owner
        WHERE own.user_id = m.recipient
            AND m.stamp >= own.valid_from
            AND m.stamp < own.valid_to
            AND CASE
                WHEN %(needs)s::jsonb ->> d.channel IS NULL THEN true
                WHEN %(needs)s::jsonb ->> d.channel = 'channel_data' THEN NOT rollbook.is_unreachable(
                    rollbook.own_channel_data(own.owner, d.channel, person.channel_data -> d.channel)
                )
                ELSE coalesce(person.profile ->> (%(needs)s::jsonb ->> d.channel), '') <> ''
            END
    )
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE rollbook.deliveries AS d
SET state = 'pending',
    reason = NULL,
    due_at = rollbook.from_microseconds(%(now)s),
    waits_for = NULL,
    changed_at = rollbook.from_microseconds(%(now)s)
FROM woken
WHERE d.message_id = woken.message_id
    AND d.waits_for IS NOT NULL
RETURNING d.channel;
