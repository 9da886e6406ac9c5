-- name: waiting
-- Transactions on our tables that wait for a lock, and for how long the first of them has. A transaction that waits for a
-- row waits for the end of the transaction that has locked it, and such a lock names no table; so the tables are those
-- that the waiting transaction has touched.
WITH ours AS (
    SELECT oid
    FROM pg_class
    WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('rollbook.users'))
)
SELECT count(DISTINCT waiting.pid), coalesce(max(extract(epoch FROM clock_timestamp() - waiting.waitstart)), 0)::float
FROM pg_locks AS waiting
WHERE NOT waiting.granted
    AND EXISTS (
        SELECT FROM pg_locks AS touched
        WHERE touched.pid = waiting.pid
            AND touched.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND touched.relation IN (SELECT oid FROM ours)
    );
