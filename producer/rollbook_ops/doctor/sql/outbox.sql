-- name: overdue
-- Of the first jobs of the outbox that are not finished: how many are unsent, and for how many seconds the oldest of them
-- is due; how many are sent, and how long ago the oldest of them was written; the same of those that the relay could not
-- send, which alone are due in the future.
SELECT
    count(*) FILTER (WHERE sent_at IS NULL AND due_at <= now()),
    extract(epoch FROM now() - min(due_at) FILTER (WHERE sent_at IS NULL))::float,
    count(*) FILTER (WHERE sent_at IS NOT NULL),
    extract(epoch FROM now() - min(created_at) FILTER (WHERE sent_at IS NOT NULL))::float,
    count(*) FILTER (WHERE sent_at IS NULL AND due_at > now()),
    extract(epoch FROM now() - min(created_at) FILTER (WHERE sent_at IS NULL AND due_at > now()))::float
FROM (
    SELECT sent_at, due_at, created_at, finished_at
    FROM {outbox}
    ORDER BY due_at
    LIMIT 100000
) AS first
WHERE finished_at IS NULL
