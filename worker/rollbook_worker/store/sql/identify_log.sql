-- name: move_from_users
-- Move the identify stamps of these users from their rows to the log, except the newest, without those that can no longer
-- decide anything (see compaction).
WITH moved AS (
    INSERT INTO rollbook.identify_log AS l (user_id, last_stamp, identify_stamps)
    SELECT u.id, max(listed.stamp), string_agg(listed.stamp || ' ', '')
    FROM rollbook.users AS u
    CROSS JOIN string_to_table(rtrim(u.identify_stamps), ' ') AS listed (stamp)
    WHERE u.id = ANY(%(ids)s)
        AND listed.stamp <> u.last_stamp
        AND (u.cluster_root IS NOT NULL OR listed.stamp >= %(horizon)s COLLATE "C")
    GROUP BY u.id
    ON CONFLICT (user_id, last_stamp) DO UPDATE SET
        identify_stamps = l.identify_stamps || excluded.identify_stamps
)
UPDATE rollbook.users
SET identify_stamps = CASE WHEN position(last_stamp IN identify_stamps) > 0 THEN last_stamp || ' ' ELSE '' END
WHERE id = ANY(%(ids)s);

-- name: select
-- When these users were identified, besides what their rows list.
SELECT user_id, identify_stamps
FROM rollbook.identify_log
WHERE user_id = ANY(%(ids)s);

-- name: delete_old
-- Delete the entries of these users that end before the horizon.
DELETE FROM rollbook.identify_log
WHERE user_id = ANY(%(ids)s)
    AND last_stamp < %(horizon)s
RETURNING user_id, identify_stamps;

-- name: insert
-- Keep what is left of deleted entries, one entry for each user.
INSERT INTO rollbook.identify_log (user_id, last_stamp, identify_stamps)
SELECT user_id, last_stamp, identify_stamps
FROM json_to_recordset(%(entries)s::json) AS n (user_id text, last_stamp text, identify_stamps text);
