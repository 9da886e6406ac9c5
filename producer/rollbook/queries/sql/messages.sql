-- name: periods
-- When each id stood for the user; whether the id ever opted out of anything: most never do, and then no message needs a
-- check of its own (only a `false` opts out); and what was said of all its messages at once, by channel and engagement.
SELECT
    user_id,
    valid_from,
    valid_to,
    coalesce(
        (
            SELECT true
            FROM rollbook.effective_preference_sets AS applied
            WHERE applied.user_id = own.user_id
                AND jsonb_path_exists(applied.settings, '$.** ? (@ == false)')
            LIMIT 1
        ),
        false
    ) AS has_opted_out,
    (
        SELECT jsonb_object_agg(said.channel, said.states)
        FROM (
            SELECT channel, jsonb_object_agg(engagement, stamp || CASE WHEN is_set THEN '+' ELSE '-' END) AS states
            FROM rollbook.effective_channel_engagements AS said
            WHERE said.user_id = own.user_id
            GROUP BY channel
        ) AS said
    ) AS channel_engagements
FROM rollbook.ownership AS own
WHERE owner = %(user_id)s

-- name: allowed
-- The messages of one period that preferences allow, as in the view owned_messages. That view would look for the owner
-- of every row; here the owner is known, and the rows come from the index on (recipient, stamp) in the order of a feed.
WHERE row.recipient = period.user_id
    AND row.stamp >= period.valid_from
    AND row.stamp < period.valid_to
    AND row.stamp >= %(since)s::text
    AND row.stamp < %(until)s::text
    AND (%(channel)s::text IS NULL OR row.channel = %(channel)s::text)
    AND (
        NOT %(asks_of_trigger)s::boolean
        OR EXISTS (
            SELECT 1
            FROM rollbook.triggers AS cause
            WHERE cause.job_id = row.job_id
                AND cause.stamp = row.stamp
                AND (%(job_id)s::text IS NULL OR cause.job_id = %(job_id)s::text)
                AND (%(workflow)s::text IS NULL OR cause.workflow = %(workflow)s::text)
                AND (%(categories)s::text[] IS NULL OR cause.categories && %(categories)s::text[])
                AND (%(tenant)s::text IS NULL OR cause.tenant = %(tenant)s::text)
                AND (%(has_tenant)s::boolean IS NULL OR (cause.tenant IS NOT NULL) = %(has_tenant)s::boolean)
                AND (%(data)s::jsonb IS NULL OR cause.data @> %(data)s::jsonb)
        )
    )
    AND (
        NOT period.has_opted_out
        OR (
            SELECT rollbook.is_channel_enabled(
                rollbook.effective_preferences(row.recipient, cause.tenant, row.stamp),
                cause.workflow,
                cause.categories,
                row.channel
            )
            FROM rollbook.triggers AS cause
            WHERE cause.job_id = row.job_id
                AND cause.stamp = row.stamp
        )
    )

-- name: visible
-- These messages with the states of their engagements, as in `engagement_states`: of what was recorded under the id of a
-- user, that counts which this user recorded. Looked up row by row, for the few rows of a page.
FROM rollbook.messages AS row
CROSS JOIN LATERAL (
    SELECT
        max(state) FILTER (WHERE engagement = 'seen') AS seen,
        max(state) FILTER (WHERE engagement = 'read') AS read,
        max(state) FILTER (WHERE engagement = 'interacted') AS interacted,
        max(state) FILTER (WHERE engagement = 'archived') AS archived
    FROM (
        SELECT engagement, stamp || CASE WHEN is_set THEN '+' ELSE '-' END AS state
        FROM rollbook.engagements
        WHERE message_id = row.id
            AND (
                user_id = ''
                OR EXISTS (
                    SELECT 1
                    FROM period AS mine
                    WHERE mine.user_id = engagements.user_id
                        AND engagements.stamp >= mine.valid_from
                        AND engagements.stamp < mine.valid_to
                )
            )
    ) AS recorded
) AS single
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN period.channel_engagements IS NULL THEN single.seen
            ELSE rollbook.newest_state(single.seen, said.states ->> 'seen', row.stamp) END AS seen,
        CASE WHEN period.channel_engagements IS NULL THEN single.read
            ELSE rollbook.newest_state(single.read, said.states ->> 'read', row.stamp) END AS read,
        CASE WHEN period.channel_engagements IS NULL THEN single.interacted
            ELSE rollbook.newest_state(single.interacted, said.states ->> 'interacted', row.stamp) END AS interacted,
        CASE WHEN period.channel_engagements IS NULL THEN single.archived
            ELSE rollbook.newest_state(single.archived, said.states ->> 'archived', row.stamp) END AS archived
    FROM (SELECT period.channel_engagements -> row.channel AS states) AS said
) AS engaged
-- include: allowed

-- name: page
-- The newest messages of a user before a cursor. Each period gives its newest, and those with the stamp of the last of
-- these, so that no row is sorted before it is known to be on the page. Triggers and actors are looked up row by row:
-- LIMIT keeps Postgres from joining all partitions of the triggers, and the whole view `ownership`, a UNION ALL into which
-- it cannot push the key of a join.
WITH period AS MATERIALIZED (
    -- include: periods
)
SELECT
    page.*,
    trigger.workflow,
    trigger.categories,
    trigger.tenant,
    trigger.data,
    trigger.had_actor,
    act.owner AS actor,
    person.name AS actor_name,
    person.avatar AS actor_avatar
FROM (
    SELECT message.*
    FROM period
    CROSS JOIN LATERAL (
        SELECT
            row.id,
            row.job_id,
            row.stamp,
            row.channel,
            engaged.seen,
            engaged.read,
            engaged.interacted,
            engaged.archived
        -- include: visible
            AND (row.stamp, row.id) < (%(stamp)s::text, %(id)s::uuid)
            AND (row.stamp, row.id) > (%(newer_than_stamp)s::text, %(newer_than_id)s::uuid)
            AND CASE %(archived)s::text
                WHEN 'include' THEN true
                WHEN 'exclude' THEN NOT rollbook.is_engaged(engaged.archived)
                WHEN 'only' THEN rollbook.is_engaged(engaged.archived)
            END
            AND CASE %(status)s::text
                WHEN 'all' THEN true
                WHEN 'unseen' THEN NOT rollbook.is_engaged(engaged.seen)
                WHEN 'seen' THEN rollbook.is_engaged(engaged.seen)
                WHEN 'unread' THEN NOT rollbook.is_engaged(engaged.read)
                WHEN 'read' THEN rollbook.is_engaged(engaged.read)
            END
        ORDER BY row.stamp DESC
        FETCH FIRST (%(limit)s::integer) ROWS WITH TIES
    ) AS message
    ORDER BY stamp DESC, id DESC
    LIMIT %(limit)s::integer
) AS page
CROSS JOIN LATERAL (
    SELECT workflow, categories, tenant, data, had_actor, actor
    FROM rollbook.triggers
    WHERE job_id = page.job_id
        AND stamp = page.stamp
    LIMIT 1
) AS trigger
LEFT JOIN LATERAL (
    SELECT own.owner
    FROM rollbook.ownership AS own
    WHERE own.user_id = trigger.actor
        AND page.stamp >= own.valid_from
        AND page.stamp < own.valid_to
    LIMIT 1
) AS act ON true
LEFT JOIN LATERAL (
    SELECT name, avatar
    FROM rollbook.current_users
    WHERE id = act.owner
    LIMIT 1
) AS person ON true
ORDER BY page.stamp DESC, page.id DESC

-- name: counts
-- How many messages of a channel a user has, without the archived ones. Counted period by period; otherwise the planner
-- may choose a join that reads every message there is. Engagement is looked up row by row here too: of joins with it the
-- planner expects one row, and read the whole table for each message.
WITH period AS MATERIALIZED (
    -- include: periods
)
SELECT
    coalesce(sum(counted.total), 0) AS total,
    coalesce(sum(counted.unseen), 0) AS unseen,
    coalesce(sum(counted.unread), 0) AS unread,
    true AS are_exact
FROM period
CROSS JOIN LATERAL (
    SELECT
        count(*) AS total,
        count(*) FILTER (WHERE NOT rollbook.is_engaged(engaged.seen)) AS unseen,
        count(*) FILTER (WHERE NOT rollbook.is_engaged(engaged.read)) AS unread
    -- include: visible
        AND NOT rollbook.is_engaged(engaged.archived)
) AS counted

-- name: counts_of_newest
-- The same of the newest messages only, and whether these are all. Archived messages are among those that are looked at,
-- so that no feed takes longer.
WITH period AS MATERIALIZED (
    -- include: periods
)
SELECT
    count(*) FILTER (WHERE counted) AS total,
    count(*) FILTER (WHERE counted AND NOT rollbook.is_engaged(seen)) AS unseen,
    count(*) FILTER (WHERE counted AND NOT rollbook.is_engaged(read)) AS unread,
    count(*) <= %(count_newest)s::integer AS are_exact
FROM (
    SELECT
        seen,
        read,
        NOT rollbook.is_engaged(archived)
            AND row_number() OVER (ORDER BY stamp DESC, id DESC) <= %(count_newest)s::integer AS counted
    FROM period
    CROSS JOIN LATERAL (
        SELECT row.stamp, row.id, engaged.seen, engaged.read, engaged.archived
        -- include: visible
        ORDER BY row.stamp DESC
        LIMIT %(count_newest)s::integer + 1
    ) AS newest
    ORDER BY stamp DESC, id DESC
    LIMIT %(count_newest)s::integer + 1
) AS newest

-- name: owned_ids
-- The ids whose messages a user owns, each once.
SELECT DISTINCT user_id
FROM rollbook.ownership
WHERE owner = %(user_id)s
ORDER BY user_id;

-- name: by_ids
-- Messages with their owners, which are looked up row by row: see `page`.
SELECT
    row.id,
    row.job_id,
    row.stamp,
    row.channel,
    own.owner,
    state.engagements ->> 'seen' AS seen,
    state.engagements ->> 'read' AS read,
    state.engagements ->> 'interacted' AS interacted,
    state.engagements ->> 'archived' AS archived,
    trigger.workflow,
    trigger.categories,
    trigger.tenant,
    trigger.data,
    trigger.had_actor,
    act.owner AS actor,
    person.name AS actor_name,
    person.avatar AS actor_avatar
FROM rollbook.messages AS row
CROSS JOIN LATERAL (
    SELECT workflow, categories, tenant, data, had_actor, actor
    FROM rollbook.triggers
    WHERE job_id = row.job_id
        AND stamp = row.stamp
    LIMIT 1
) AS trigger
CROSS JOIN LATERAL (
    SELECT owner
    FROM rollbook.ownership
    WHERE user_id = row.recipient
        AND row.stamp >= valid_from
        AND row.stamp < valid_to
    LIMIT 1
) AS own
CROSS JOIN LATERAL (
    SELECT rollbook.engagement_states(row.id, own.owner, row.recipient, row.channel, row.stamp) AS engagements
    OFFSET 0  -- so that it is computed once
) AS state
LEFT JOIN LATERAL (
    SELECT owner
    FROM rollbook.ownership
    WHERE user_id = trigger.actor
        AND row.stamp >= valid_from
        AND row.stamp < valid_to
    LIMIT 1
) AS act ON true
LEFT JOIN LATERAL (
    SELECT name, avatar
    FROM rollbook.current_users
    WHERE id = act.owner
    LIMIT 1
) AS person ON true
WHERE row.id = ANY(%(ids)s::uuid[])
    AND rollbook.is_channel_enabled(
        rollbook.effective_preferences(row.recipient, trigger.tenant, row.stamp),
        trigger.workflow,
        trigger.categories,
        row.channel
    )

-- name: feed_rows
-- The end of both: the page and the counts, and the user that a merged-away id stands for.
SELECT
    counts.*,
    (SELECT merged_into FROM rollbook.merged_users WHERE id = %(user_id)s) AS merged_into,
    page.*
FROM counts
LEFT JOIN page ON true
ORDER BY page.stamp DESC, page.id DESC

-- name: feed
-- A page with the counts, in one snapshot.
WITH page AS (
    -- include: page
),
counts AS (
    -- include: counts
)
-- include: feed_rows

-- name: feed_with_counts_of_newest
-- A page with the counts of the newest messages.
WITH page AS (
    -- include: page
),
counts AS (
    -- include: counts_of_newest
)
-- include: feed_rows
