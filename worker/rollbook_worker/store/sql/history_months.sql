-- name: select
-- The partitions of the history, the oldest of each table first; `~` stands for no end.
SELECT of_table, month, valid_from, valid_to
FROM rollbook.history_months()
ORDER BY of_table, valid_from COLLATE "C";

-- name: now
-- Postgres' clock, in microseconds since 1970.
SELECT (extract(epoch FROM transaction_timestamp()) * 1000000)::bigint;

-- name: select_start
-- The stamp before which the history was dropped.
SELECT rollbook.history_start();

-- name: cut
-- Take one step to let the last partition of a table end; return whether there are more.
SELECT rollbook.cut_history(%(table)s, %(at)s);

-- name: drop
-- Drop the oldest partition of a table that ends before a stamp; return its name.
SELECT rollbook.drop_history(%(table)s, %(before)s);

-- name: forget_page
-- Delete the engagements and deliveries of some messages that are dropped next; return the last of these messages.
WITH page AS MATERIALIZED (
    SELECT id
    FROM rollbook.messages
    WHERE stamp < %(before)s
        AND id > %(after)s
    ORDER BY id
    LIMIT %(limit)s
), engagements AS (
    DELETE FROM rollbook.engagements
    WHERE message_id IN (SELECT page.id FROM page)
), deliveries AS (
    DELETE FROM rollbook.deliveries
    WHERE message_id IN (SELECT page.id FROM page)
)
SELECT id
FROM page
ORDER BY id DESC
LIMIT 1;
