-- name: settled
-- Users whose delete has settled, the longest first, from a stamp on.
SELECT ended, stamp
FROM rollbook.endings
WHERE primary_id IS NULL
    AND stamp > %(after)s
    AND stamp < %(horizon)s
ORDER BY stamp
LIMIT %(limit)s;

-- name: erase_users
-- Take the ids of which nothing is left to know.
DELETE FROM rollbook.users
WHERE id = ANY(%(ids)s);

-- name: keep_users
-- What is left of ids that were used again.
UPDATE rollbook.users AS u
SET data = n.data,
    since = n.since,
    stamps = n.stamps,
    last = n.last,
    first = n.first,
    seen = n.seen
FROM json_to_recordset(%(users)s::json) AS n (
    id text, data jsonb, since text, stamps jsonb, last text, first text, seen text
)
WHERE u.id = n.id;

-- name: erase_sightings
-- Take the sightings of those who are gone; what is left of an id that was used again goes into its row.
DELETE FROM rollbook.sightings AS s
USING json_to_recordset(%(gone)s::json) AS n (id text, until text)
WHERE s.user_id = n.id
RETURNING n.id;

-- name: erase_choices
-- Take the preference sets of those who are gone.
DELETE FROM rollbook.choices AS c
USING json_to_recordset(%(gone)s::json) AS n (id text, until text)
WHERE c.user_id = n.id
    AND c.stamp < n.until
RETURNING n.id;

-- name: erase_endings
-- Take merges and deletes that say nothing any more.
DELETE FROM rollbook.endings
WHERE stamp = ANY(%(stamps)s);

-- name: erase_messages
-- Take the messages, with their marks, that were addressed to those who are gone.
WITH gone AS (
    DELETE FROM rollbook.messages AS m
    USING json_to_recordset(%(gone)s::json) AS n (id text, until text)
    WHERE m.recipient = n.id
        AND m.stamp < n.until
    RETURNING m.id, n.id AS name
), unmarked AS (
    DELETE FROM rollbook.marks
    WHERE message_id IN (SELECT gone.id FROM gone)
)
SELECT name
FROM gone;

-- name: erase_activities
-- Take the activities of those who are gone, and say of which triggers.
DELETE FROM rollbook.activities AS a
USING json_to_recordset(%(gone)s::json) AS n (id text, until text)
WHERE a.recipient = n.id
    AND a.stamp < n.until
RETURNING n.id, a.job_id;

-- name: erase_triggers
-- Take the triggers that have no recipient left.
DELETE FROM rollbook.triggers AS t
WHERE t.job_id = ANY(%(job_ids)s)
    AND NOT EXISTS (SELECT 1 FROM rollbook.activities AS a WHERE a.job_id = t.job_id);

-- name: forget_actors
-- Leave an actor that is nobody's id, which is shown as the missing user.
UPDATE rollbook.triggers AS t
SET actor = ''
FROM json_to_recordset(%(gone)s::json) AS n (id text, until text)
WHERE t.actor = n.id
    AND t.stamp < n.until
RETURNING n.id;

-- name: forget_skipped
-- Take those who are gone out of the outcomes of triggers that skipped them.
UPDATE rollbook.jobs AS j
SET detail = jsonb_set(j.detail, '{skipped}', (j.detail -> 'skipped') - %(ids)s::text[])
WHERE j.detail ? 'skipped'
    AND j.detail -> 'skipped' ?| %(ids)s::text[];

-- name: erase_letters
-- Take the dead letters from before the horizon that name those who are gone.
DELETE FROM rollbook.dead_letters AS d
USING unnest(%(texts)s::text[]) AS n (quoted)
WHERE d.failed_at < rollbook.moment(%(horizon)s)
    AND position(convert_to(n.quoted, 'UTF8') IN d.body) > 0;

-- name: compact_sightings
-- Take lists of sightings that can decide nothing any more: settled, of users whom no merge or delete names. Their first
-- and their last stand in `users`.
WITH old AS (
    SELECT user_id, last
    FROM rollbook.sightings
    WHERE (user_id, last) > (%(user_id)s, %(last)s)
    ORDER BY user_id, last
    LIMIT %(limit)s
), gone AS (
    DELETE FROM rollbook.sightings AS s
    USING old, rollbook.users AS u
    WHERE s.user_id = old.user_id
        AND s.last = old.last
        AND u.id = s.user_id
        AND u.family IS NULL
        AND s.last < %(horizon)s
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone), final.user_id, final.last
FROM old AS final
ORDER BY final.user_id DESC, final.last DESC
LIMIT 1;

-- name: erase_left_behind
-- Take the messages and activities that merges left behind: older than the history that the primary took over.
WITH behind AS (
    SELECT name, since, until
    FROM rollbook.spans
    WHERE owner IS NULL
        AND until < %(horizon)s
        AND (name, since) > (%(name)s, %(since)s)
    ORDER BY name, since
    LIMIT %(limit)s
), messages AS (
    DELETE FROM rollbook.messages AS m
    USING behind
    WHERE m.recipient = behind.name
        AND m.stamp >= behind.since
        AND m.stamp < behind.until
    RETURNING m.id
), marks AS (
    DELETE FROM rollbook.marks
    WHERE message_id IN (SELECT messages.id FROM messages)
), activities AS (
    DELETE FROM rollbook.activities AS a
    USING behind
    WHERE a.recipient = behind.name
        AND a.stamp >= behind.since
        AND a.stamp < behind.until
    RETURNING a.job_id
)
SELECT
    (SELECT count(*) FROM messages) + (SELECT count(*) FROM activities) AS erased,
    (SELECT array_agg(DISTINCT job_id) FROM activities) AS job_ids,
    last.name,
    last.since
FROM behind AS last
ORDER BY last.name DESC, last.since DESC
LIMIT 1;
