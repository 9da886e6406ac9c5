-- name: now
-- The time, in microseconds since 1970.
SELECT (extract(epoch FROM now()) * 1000000)::bigint;

-- name: deferred
-- Deferred jobs, those that are due, and for how long the first of these has been due.
SELECT
    (SELECT count(*) FROM (SELECT FROM rollbook.deferred_jobs LIMIT %(limit)s) AS counted),
    (SELECT count(*) FROM (SELECT FROM rollbook.deferred_jobs WHERE due_at <= now() LIMIT %(limit)s) AS due),
    (
        SELECT greatest(0, extract(epoch FROM now() - min(due_at)))::float
        FROM rollbook.deferred_jobs
        WHERE due_at <= now()
    );

-- name: dead_letters
-- Dead letters by code, the most recent code first, and how long ago the last one of each was.
SELECT code, count(*), extract(epoch FROM now() - max(failed_at))::float
FROM rollbook.dead_letters
GROUP BY code
ORDER BY max(failed_at) DESC;

-- name: overdue_recipients
-- Recipients of triggers that stood for no user and should have been forgotten by now, and how long ago the first trigger
-- was.
SELECT count(*), extract(epoch FROM now() - rollbook.occurred_at(min(stamp)))::float
FROM (
    SELECT stamp
    FROM rollbook.unknown_recipients
    WHERE stamp < %(horizon)s
    ORDER BY stamp
    LIMIT %(limit)s
) AS overdue;

-- name: overdue_erasures
-- Deletes whose users should have been erased by now, and how long ago the first was. A delete that arrived late is not
-- overdue yet; its stamp holds the id of its job.
SELECT count(*), extract(epoch FROM now() - rollbook.occurred_at(min(stamp)))::float
FROM (
    SELECT stamp
    FROM rollbook.lifecycle_events AS event
    WHERE primary_id IS NULL
        AND stamp < %(horizon)s
        AND NOT EXISTS (
            SELECT FROM rollbook.jobs AS job
            WHERE job.id = substr(event.stamp, 15, length(event.stamp) - 19)
                AND job.finished_at > now() - %(grace)s
        )
    ORDER BY stamp
    LIMIT %(limit)s
) AS overdue;
