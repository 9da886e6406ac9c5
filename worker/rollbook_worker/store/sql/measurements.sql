-- name: is_measured
-- Whether there is a measurement of this time.
SELECT FROM rollbook.measurements
WHERE measured_at = rollbook.from_microseconds(%(at)s);

-- name: finished
-- How many jobs were applied or rejected in a time, up to a bound.
SELECT count(*)
FROM (
    SELECT FROM rollbook.jobs
    WHERE finished_at >= rollbook.from_microseconds(%(since)s)
        AND finished_at < rollbook.from_microseconds(%(until)s)
        AND state IN ('applied', 'rejected')
    LIMIT %(limit)s
) AS counted;

-- name: latencies
-- How long after they happened the last jobs of a time were applied, in seconds: of half, of 95 and of 99 of 100. Those
-- that happened long before say nothing: they were imported, or sent late.
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds)
FROM (
    SELECT greatest(0, extract(epoch FROM finished_at - rollbook.from_microseconds(occurred_at)))::float AS seconds
    FROM rollbook.jobs
    WHERE finished_at >= rollbook.from_microseconds(%(since)s)
        AND finished_at < rollbook.from_microseconds(%(until)s)
        AND state IN ('applied', 'rejected')
        AND occurred_at > %(oldest)s
    ORDER BY finished_at DESC
    LIMIT %(sample)s
) AS newest;

-- name: dead
-- How many jobs became dead letters in a time, up to a bound.
SELECT count(*)
FROM (
    SELECT FROM rollbook.dead_letters
    WHERE failed_at >= rollbook.from_microseconds(%(since)s)
        AND failed_at < rollbook.from_microseconds(%(until)s)
    LIMIT %(limit)s
) AS counted;

-- name: deliveries
-- How many deliveries came to each of these states in a time, up to a bound.
SELECT
    state,
    (
        SELECT count(*)
        FROM (
            SELECT FROM rollbook.deliveries AS d
            WHERE d.state = listed.state
                AND d.due_at IS NULL
                AND d.changed_at >= rollbook.from_microseconds(%(since)s)
                AND d.changed_at < rollbook.from_microseconds(%(until)s)
            LIMIT %(limit)s
        ) AS counted
    )
FROM unnest(%(states)s::text[]) AS listed (state);

-- name: keep
-- Keep a measurement, unless another process was faster, and forget those that are too old.
WITH old AS (
    DELETE FROM rollbook.measurements
    WHERE measured_at < rollbook.from_microseconds(%(oldest)s)
)
INSERT INTO rollbook.measurements (measured_at, figures)
VALUES (rollbook.from_microseconds(%(at)s), %(figures)s::jsonb)
ON CONFLICT DO NOTHING;
