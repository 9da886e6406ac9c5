-- name: due
-- Deliveries that may be claimed now, by channel, and for how long the first of each has been due.
SELECT channel, count(*), greatest(0, extract(epoch FROM now() - min(due_at)))::float
FROM (
    SELECT channel, due_at
    FROM rollbook.deliveries
    WHERE due_at <= now()
    LIMIT %(limit)s
) AS due
GROUP BY channel
ORDER BY channel;

-- name: recent
-- What became of deliveries in the last day, and why those have failed that will be tried again.
SELECT channel, state, reason, count(*)
FROM (
    (
        SELECT channel, state, reason
        FROM rollbook.deliveries
        WHERE due_at IS NULL
            AND state IN ('sent', 'delivered', 'undeliverable', 'skipped')
            AND changed_at > now() - interval '1 day'
        LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT channel, state, reason
        FROM rollbook.deliveries
        WHERE due_at IS NOT NULL
            AND state = 'failed'
        LIMIT %(limit)s
    )
) AS recent
GROUP BY channel, state, reason
ORDER BY channel, state, count(*) DESC, reason;
