-- name: overdue
-- Of the first jobs of the outbox: how many are unsent, and for how many seconds the oldest of them is due; how many are
-- sent and not finished, and how long ago the oldest of them was written.
SELECT
    count(*) FILTER (WHERE sent_at IS NULL),
    extract(epoch FROM now() - min(due_at) FILTER (WHERE sent_at IS NULL))::float,
    count(*) FILTER (WHERE sent_at IS NOT NULL),
    extract(epoch FROM now() - min(created_at) FILTER (WHERE sent_at IS NOT NULL))::float
FROM (SELECT sent_at, due_at, created_at FROM rollbook_outbox ORDER BY due_at LIMIT 100000) AS first
