-- name: select_due_deletes
-- Users whose delete is older than the horizon, the oldest first, from a stamp on.
SELECT user_id, stamp
FROM rollbook.lifecycle_events
WHERE primary_id IS NULL
    AND stamp > %(after)s
    AND stamp < %(horizon)s
ORDER BY stamp
LIMIT %(limit)s;

-- name: delete_users
-- Delete the ids of which nothing is left.
DELETE FROM rollbook.users
WHERE id = ANY(%(ids)s);

-- name: replace_users
-- Write what is left of ids that were used again.
UPDATE rollbook.users AS u
SET profile = n.profile,
    base_stamp = n.base_stamp,
    key_stamps = n.key_stamps,
    last_stamp = n.last_stamp,
    first_identified = n.first_identified,
    identify_stamps = n.identify_stamps
FROM json_to_recordset(%(users)s::json) AS n (
    id text, profile jsonb, base_stamp text, key_stamps jsonb, last_stamp text, first_identified text,
    identify_stamps text
)
WHERE u.id = n.id;

-- name: delete_identify_log
-- Delete the identify log of erased users; what is left of an id that was used again goes into its row.
DELETE FROM rollbook.identify_log AS l
USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE l.user_id = n.id
RETURNING n.id;

-- name: delete_preference_sets
-- Delete the preference sets of erased users.
DELETE FROM rollbook.preference_set_versions AS v
USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE v.user_id = n.id
    AND v.stamp < n.until
RETURNING n.id;

-- name: delete_push_tokens
-- Delete the changes of push tokens of erased users.
DELETE FROM rollbook.push_token_changes AS c
USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE c.user_id = n.id
    AND c.stamp < n.until
RETURNING n.id;

-- name: delete_push_token_users
-- Delete which push tokens erased users sent.
DELETE FROM rollbook.push_token_users AS u
USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE u.user_id = n.id
    AND u.stamp < n.until
RETURNING n.id;

-- name: delete_lifecycle_events
-- Delete merges and deletes that no longer decide anything.
DELETE FROM rollbook.lifecycle_events
WHERE stamp = ANY(%(stamps)s);

-- name: delete_messages
-- Delete the messages that were addressed to erased users, with their engagements and deliveries.
WITH gone AS (
    DELETE FROM rollbook.messages AS m
    USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
    WHERE m.recipient = n.id
        AND m.stamp < n.until
    RETURNING m.id, n.id AS user_id
), engagements AS (
    DELETE FROM rollbook.engagements
    WHERE message_id IN (SELECT gone.id FROM gone)
), deliveries AS (
    DELETE FROM rollbook.deliveries
    WHERE message_id IN (SELECT gone.id FROM gone)
)
SELECT user_id
FROM gone;

-- name: delete_engagements
-- Delete the engagements that erased users recorded with messages of others; they never counted.
DELETE FROM rollbook.engagements AS e
USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE e.user_id = n.id
    AND e.user_id <> ''
    AND e.stamp < n.until
RETURNING n.id;

-- name: delete_channel_engagements
-- Delete what erased users said of all their messages at once.
DELETE FROM rollbook.channel_engagements AS e
USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE e.user_id = n.id
    AND e.stamp < n.until
RETURNING n.id;

-- name: delete_activities
-- Delete the activities of erased users; return their triggers.
DELETE FROM rollbook.activities AS a
USING json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE a.recipient = n.id
    AND a.stamp < n.until
RETURNING n.id, a.job_id;

-- name: delete_triggers
-- Delete the triggers that have no recipient left.
DELETE FROM rollbook.triggers AS t
WHERE t.job_id = ANY(%(job_ids)s)
    AND NOT EXISTS (SELECT 1 FROM rollbook.activities AS a WHERE a.job_id = t.job_id AND a.stamp = t.stamp);

-- name: clear_actors
-- Remove erased users as actors; `had_actor` stays, so that readers show the missing user.
UPDATE rollbook.triggers AS t
SET actor = NULL
FROM json_to_recordset(%(erased)s::json) AS n (id text, until text)
WHERE t.actor = n.id
    AND t.stamp < n.until
RETURNING n.id;

-- name: remove_skipped
-- Remove erased users from the details of triggers that skipped them.
UPDATE rollbook.jobs AS j
SET detail = jsonb_set(j.detail, '{skipped}', (j.detail -> 'skipped') - %(ids)s::text[])
WHERE j.detail ? 'skipped'
    AND j.detail -> 'skipped' ?| %(ids)s::text[];

-- name: compact_identify_log
-- Delete entries of the identify log that can no longer decide anything: those before the horizon, of users whom no merge
-- or delete names. `users` keeps their first and their last. Return also the clusters of users who have several such
-- entries: which of their stamps decide nothing is not for SQL to say.
WITH old AS (
    SELECT user_id, last_stamp
    FROM rollbook.identify_log
    WHERE (user_id, last_stamp) > (%(user_id)s, %(last_stamp)s)
    ORDER BY user_id, last_stamp
    LIMIT %(limit)s
), gone AS (
    DELETE FROM rollbook.identify_log AS l
    USING old, rollbook.users AS u
    WHERE l.user_id = old.user_id
        AND l.last_stamp = old.last_stamp
        AND u.id = l.user_id
        AND u.cluster_root IS NULL
        AND l.last_stamp < %(horizon)s
    RETURNING 1
), clusters AS (
    SELECT DISTINCT u.cluster_root
    FROM old
    JOIN rollbook.users AS u ON u.id = old.user_id
    WHERE u.cluster_root IS NOT NULL
        AND old.last_stamp < %(horizon)s
        AND EXISTS (
            SELECT 1
            FROM rollbook.identify_log AS earlier
            WHERE earlier.user_id = old.user_id
                AND earlier.last_stamp < old.last_stamp
        )
)
SELECT
    (SELECT count(*) FROM gone),
    (SELECT array_agg(cluster_root) FROM clusters),
    final.user_id,
    final.last_stamp
FROM old AS final
ORDER BY final.user_id DESC, final.last_stamp DESC
LIMIT 1;

-- name: delete_unowned_history
-- Delete the messages and activities that no user owns since a merge: older than the history that the primary took over.
WITH unowned AS (
    SELECT user_id, valid_from, valid_to
    FROM rollbook.ownership_periods
    WHERE owner IS NULL
        AND valid_to < %(horizon)s
        AND (user_id, valid_from) > (%(user_id)s, %(valid_from)s)
    ORDER BY user_id, valid_from
    LIMIT %(limit)s
), messages AS (
    DELETE FROM rollbook.messages AS m
    USING unowned
    WHERE m.recipient = unowned.user_id
        AND m.stamp >= unowned.valid_from
        AND m.stamp < unowned.valid_to
    RETURNING m.id
), engagements AS (
    DELETE FROM rollbook.engagements
    WHERE message_id IN (SELECT messages.id FROM messages)
), deliveries AS (
    DELETE FROM rollbook.deliveries
    WHERE message_id IN (SELECT messages.id FROM messages)
), activities AS (
    DELETE FROM rollbook.activities AS a
    USING unowned
    WHERE a.recipient = unowned.user_id
        AND a.stamp >= unowned.valid_from
        AND a.stamp < unowned.valid_to
    RETURNING a.job_id
)
SELECT
    (SELECT count(*) FROM messages) + (SELECT count(*) FROM activities) AS erased,
    (SELECT array_agg(DISTINCT job_id) FROM activities) AS job_ids,
    final.user_id,
    final.valid_from
FROM unowned AS final
ORDER BY final.user_id DESC, final.valid_from DESC
LIMIT 1;
