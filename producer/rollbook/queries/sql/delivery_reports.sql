-- name: lock
-- The deliveries that are reported of, locked in the order of their ids.
WITH reported AS MATERIALIZED (
    SELECT message_id
    FROM rollbook.deliveries
    WHERE message_id = ANY(%(ids)s::uuid[])
    ORDER BY message_id
    FOR UPDATE
)
SELECT count(*) AS found
FROM reported

-- name: report
-- Keep what senders report, if it is of the claim that they have. Without a claim the report is of the last one, whose
-- lease must last. What was sent stays sent; a provider may say later that it was delivered, or that it was not.
WITH reported AS (
    SELECT message_id, claim, outcome, reason, retry_after, permanent
    FROM json_to_recordset(%(reports)s::json) AS r (
        message_id uuid, claim integer, outcome text, reason text, retry_after double precision, permanent boolean
    )
), judged AS (
    SELECT
        d.message_id,
        reported.outcome,
        reported.reason,
        reported.retry_after,
        d.attempts,
        CASE
            WHEN d.state = 'claimed' AND coalesce(reported.claim = d.claims, d.due_at > now()) THEN true
            WHEN d.state = 'sent' THEN
                reported.outcome = 'delivered'
                OR (reported.outcome = 'failed' AND reported.permanent)
                OR (reported.outcome = 'sent' AND coalesce(reported.claim = d.claims, true))
            WHEN d.state = 'delivered' THEN reported.outcome IN ('sent', 'delivered')
            ELSE false
        END AS counts,
        CASE
            WHEN reported.outcome = 'sent' THEN CASE WHEN d.state = 'claimed' THEN 'sent' ELSE d.state END
            WHEN reported.outcome = 'delivered' THEN 'delivered'
            WHEN reported.outcome = 'release' THEN 'pending'
            WHEN reported.permanent
                OR d.attempts >= coalesce((%(attempts)s::jsonb ->> d.channel)::integer, %(default_attempts)s)
                THEN 'undeliverable'
            ELSE 'failed'
        END AS state
    FROM reported
    JOIN rollbook.deliveries AS d ON d.message_id = reported.message_id
    WHERE d.message_id = ANY(%(ids)s::uuid[])  -- if Postgres takes the table for empty, it finds the rows by this
), kept AS (
    UPDATE rollbook.deliveries AS d
    SET state = judged.state,
        reason = CASE WHEN judged.outcome = 'failed' THEN judged.reason END,
        due_at = CASE judged.state
            WHEN 'pending' THEN now()
            WHEN 'failed' THEN now() + interval '1 second' * greatest(
                coalesce(judged.retry_after, 0),
                least(%(longest)s::double precision, %(first)s::double precision * 2.0 ^ least(judged.attempts - 1, 30)) * (0.5 + random() / 2)
            )
        END,
        attempts = d.attempts - (judged.state = 'pending')::integer,
        changed_at = now()
    FROM judged
    WHERE d.message_id = judged.message_id
        AND d.message_id = ANY(%(ids)s::uuid[])
        AND judged.counts
        AND d.state IS DISTINCT FROM CASE WHEN judged.state IN ('sent', 'delivered') THEN judged.state END
)
SELECT message_id AS id, counts
FROM judged

-- name: cancel
-- Cancel a delivery that waits.
UPDATE rollbook.deliveries
SET state = 'cancelled',
    reason = NULL,
    due_at = NULL,
    waits_for = NULL,
    changed_at = now()
WHERE message_id = %(id)s
    AND (state IN ('pending', 'failed') OR (state = 'claimed' AND due_at <= now()))
RETURNING 1

-- name: retry
-- Let a delivery that was not sent be claimed again, at once and with all attempts; its age counts from now.
UPDATE rollbook.deliveries AS d
SET state = 'pending',
    reason = NULL,
    due_at = now(),
    waits_for = NULL,
    attempts = 0,
    expires_at = greatest(
        d.expires_at,
        now() + interval '1 second' * coalesce((%(max_ages)s::jsonb ->> d.channel)::integer, %(default_max_age)s)
    ),
    changed_at = now()
WHERE message_id = %(id)s
    AND state IN ('failed', 'undeliverable', 'skipped', 'cancelled')
RETURNING 1
