-- name: plan_by_index
-- For the rest of the transaction: every row is found by an index. What is looked at is a hundred rows of tables of any
-- size; of small tables the planner would read all, and keep that plan when they have grown.
SELECT
    set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true),
    set_config('jit', 'off', true)

-- name: allowance
-- How many of the channel may be claimed now, by its rate. The row stays locked until the claim is committed, so that
-- claims of a channel with a rate take turns.
INSERT INTO rollbook.delivery_rates AS r (channel, allowance, refilled_at)
VALUES (%(channel)s, %(burst)s, clock_timestamp())
ON CONFLICT (channel) DO UPDATE SET
    allowance = least(
        %(burst)s::double precision,
        r.allowance + greatest(extract(epoch FROM clock_timestamp() - r.refilled_at), 0) * %(per_second)s::double precision
    ),
    refilled_at = clock_timestamp()
RETURNING floor(allowance)::integer AS allowance

-- name: spend
-- Take what was claimed from the allowance.
UPDATE rollbook.delivery_rates
SET allowance = allowance - %(claimed)s
WHERE channel = %(channel)s
RETURNING 1

-- name: waiting
-- The workflows that have deliveries which may be claimed, in an order by chance. One step through the index for each workflow,
-- however many deliveries it has.
WITH RECURSIVE workflow AS (
    (
        SELECT priority, workflow
        FROM rollbook.deliveries
        WHERE channel = %(channel)s
            AND due_at IS NOT NULL
        ORDER BY priority, workflow
        LIMIT 1
    )
    UNION ALL
    SELECT next.priority, next.workflow
    FROM workflow AS last
    CROSS JOIN LATERAL (
        SELECT d.priority, d.workflow
        FROM rollbook.deliveries AS d
        WHERE d.channel = %(channel)s
            AND d.due_at IS NOT NULL
            AND (d.priority, d.workflow) > (last.priority, last.workflow)
        ORDER BY d.priority, d.workflow
        LIMIT 1
    ) AS next
)
SELECT priority, workflow
FROM workflow
WHERE EXISTS (
    SELECT
    FROM rollbook.deliveries AS d
    WHERE d.channel = %(channel)s
        AND d.priority = workflow.priority
        AND d.workflow = workflow.workflow
        AND d.due_at <= now()
)
ORDER BY random()

-- name: claim
-- Claim some deliveries of each workflow, those that have been due for longest; and decide of each, as all is now,
-- whether it is handed over: `state` is then `claimed`. What is not is skipped or given up with a reason; a recipient who
-- is not known yet is looked at again later. Rows that another claim has locked are passed over.
WITH locked AS MATERIALIZED (
    SELECT one.*, part.priority AS claimed_for, part.workflow AS claimed_of
    FROM json_to_recordset(%(parts)s::json) AS part (priority smallint, workflow text, most integer)
    CROSS JOIN LATERAL (
        SELECT d.message_id, d.attempts, d.claims, d.expires_at, d.created_at
        FROM rollbook.deliveries AS d
        WHERE d.channel = %(channel)s
            AND d.priority = part.priority
            AND d.workflow = part.workflow
            AND d.due_at <= now()
        ORDER BY d.due_at
        LIMIT part.most
        FOR UPDATE SKIP LOCKED
    ) AS one
), looked AS MATERIALIZED (
    SELECT
        locked.*,
        row.recipient AS addressed_to,
        row.stamp,
        row.channel AS type,
        trigger.workflow,
        trigger.tenant,
        trigger.categories,
        trigger.data,
        trigger.actor,
        trigger.trace,
        own.owner,
        person.profile,
        rollbook.own_channel_data(
            own.owner, %(channel)s::text, person.channel_data -> %(channel)s::text
        ) AS channel_data
    FROM locked
    LEFT JOIN (
        rollbook.messages AS row
        JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id AND trigger.stamp = row.stamp
    ) ON row.id = locked.message_id
    LEFT JOIN LATERAL (
        SELECT owner
        FROM rollbook.ownership
        WHERE user_id = row.recipient
            AND row.stamp >= valid_from
            AND row.stamp < valid_to
        LIMIT 1
    ) AS own ON true
    LEFT JOIN LATERAL (
        SELECT profile, channel_data
        FROM rollbook.current_users
        WHERE id = own.owner
        LIMIT 1
    ) AS person ON true
), judged AS MATERIALIZED (
    SELECT
        looked.*,
        CASE
            WHEN looked.owner IS NULL AND (
                looked.stamp IS NULL
                OR EXISTS (
                    SELECT
                    FROM rollbook.ownership_periods AS period
                    WHERE period.user_id = looked.addressed_to
                        AND period.existed
                        AND looked.stamp >= period.valid_from
                        AND looked.stamp < period.valid_to
                )
            ) THEN 'user deleted'
            WHEN looked.owner IS NULL THEN 'unknown recipient'
            WHEN looked.expires_at <= now() THEN 'too old'
            WHEN looked.attempts >= %(max_attempts)s THEN 'no report of the last attempt'
            WHEN NOT rollbook.is_channel_enabled(
                rollbook.effective_preferences(looked.addressed_to, looked.tenant, looked.stamp),
                looked.workflow,
                looked.categories,
                looked.type
            ) THEN 'opted out'
            WHEN %(skip_seen)s::boolean AND EXISTS (
                SELECT
                FROM rollbook.messages AS sibling
                CROSS JOIN LATERAL (
                    SELECT rollbook.engagement_states(
                        sibling.id, looked.owner, sibling.recipient, sibling.channel, sibling.stamp
                    ) AS states
                    OFFSET 0  -- so that it is computed once
                ) AS engaged
                WHERE sibling.recipient = looked.addressed_to
                    AND sibling.stamp = looked.stamp
                    AND (
                        rollbook.is_engaged(engaged.states ->> 'seen')
                        OR rollbook.is_engaged(engaged.states ->> 'read')
                    )
            ) THEN 'seen already'
            WHEN %(attribute)s::text IS NOT NULL
                AND coalesce(jsonb_typeof(looked.profile -> %(attribute)s::text) <> 'string', true) THEN 'no address'
            WHEN %(attribute)s::text IS NOT NULL
                AND looked.profile ->> %(attribute)s::text = '' THEN 'no address'
            WHEN %(needs_channel_data)s::boolean AND rollbook.is_unreachable(looked.channel_data) THEN 'no address'
        END AS reason
    FROM looked
), decided AS MATERIALIZED (
    SELECT
        judged.*,
        CASE
            WHEN judged.reason IS NULL THEN 'claimed'
            WHEN judged.reason = 'unknown recipient' AND judged.expires_at > now() THEN 'pending'
            WHEN judged.reason = 'no report of the last attempt' THEN 'undeliverable'
            ELSE 'skipped'
        END AS state
    FROM judged
), kept AS (
    UPDATE rollbook.deliveries AS d
    SET state = decided.state,
        reason = CASE WHEN decided.state = 'claimed' THEN d.reason ELSE decided.reason END,
        due_at = CASE decided.state
            WHEN 'claimed' THEN now() + %(lease)s::double precision * interval '1 second'
            -- sooner at first: most identifies that are late are a little late
            WHEN 'pending' THEN least(
                decided.expires_at,
                now() + greatest(now() - decided.created_at, interval '1 second')
            )
        END,
        -- an identify that comes later looks for it
        waits_for = CASE
            WHEN decided.state = 'pending' THEN decided.addressed_to
            WHEN decided.reason = 'no address' THEN decided.owner
        END,
        attempts = d.attempts + (decided.state = 'claimed')::integer,
        claims = d.claims + (decided.state = 'claimed')::integer,
        changed_at = now()
    FROM decided
    WHERE d.message_id = decided.message_id
)
SELECT
    decided.message_id AS id,
    decided.state,
    decided.claimed_for,
    decided.claimed_of,
    decided.type,
    decided.workflow,
    decided.tenant,
    decided.categories,
    decided.data,
    decided.trace,
    decided.stamp,
    decided.owner,
    decided.profile,
    decided.channel_data,
    decided.attempts + 1 AS attempt,
    decided.claims + 1 AS claim,
    now() + %(lease)s::double precision * interval '1 second' AS lease_ends_at,
    act.owner AS actor,
    actor.profile AS actor_profile
FROM decided
LEFT JOIN LATERAL (
    SELECT owner
    FROM rollbook.ownership
    WHERE user_id = decided.actor
        AND decided.stamp >= valid_from
        AND decided.stamp < valid_to
        AND decided.state = 'claimed'
    LIMIT 1
) AS act ON true
LEFT JOIN LATERAL (
    SELECT profile
    FROM rollbook.current_users
    WHERE id = act.owner
    LIMIT 1
) AS actor ON true
