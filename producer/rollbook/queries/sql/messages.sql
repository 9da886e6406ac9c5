-- name: periods
-- When each id stood for the user, and whether the id ever opted out of anything: most never do, and then no message
-- needs a check of its own. Only a `false` opts out.
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
    ) AS has_opted_out
FROM rollbook.ownership AS own
WHERE owner = %(user_id)s

-- name: visible
-- The messages of one period that preferences allow, as in the view owned_messages. That view would look for the owner
-- of every row; here the owner is known, and the rows come from the index on (recipient, stamp) in the order of a feed.
FROM rollbook.messages AS row
LEFT JOIN rollbook.engagements AS seen ON seen.message_id = row.id AND seen.engagement = 'seen'
LEFT JOIN rollbook.engagements AS read ON read.message_id = row.id AND read.engagement = 'read'
LEFT JOIN rollbook.engagements AS archived ON archived.message_id = row.id AND archived.engagement = 'archived'
WHERE row.recipient = period.user_id
    AND row.stamp >= period.valid_from
    AND row.stamp < period.valid_to
    AND (%(channel)s::text IS NULL OR row.channel = %(channel)s::text)
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
        )
    )

-- name: page
-- The newest messages of a user before a cursor. Each period gives its newest, and those with the stamp of the last of
-- these, so that no row is sorted before it is known to be on the page. Actors are looked up row by row: LIMIT keeps
-- Postgres from joining the whole view `ownership`, a UNION ALL into which it cannot push the key of a join.
WITH period AS MATERIALIZED (
    -- include: periods
)
SELECT
    page.*,
    trigger.workflow,
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
            coalesce(seen.is_set, false) AS seen,
            coalesce(read.is_set, false) AS read,
            coalesce(archived.is_set, false) AS archived
        -- include: visible
            AND (row.stamp, row.id) < (%(stamp)s::text, %(id)s::uuid)
            AND CASE %(status)s::text
                WHEN 'any' THEN true
                WHEN 'all' THEN NOT coalesce(archived.is_set, false)
                WHEN 'unseen' THEN NOT coalesce(archived.is_set, false) AND NOT coalesce(seen.is_set, false)
                WHEN 'unread' THEN NOT coalesce(archived.is_set, false) AND NOT coalesce(read.is_set, false)
                WHEN 'archived' THEN archived.is_set
            END
        ORDER BY row.stamp DESC
        FETCH FIRST (%(limit)s::integer) ROWS WITH TIES
    ) AS message
    ORDER BY stamp DESC, id DESC
    LIMIT %(limit)s::integer
) AS page
JOIN rollbook.triggers AS trigger ON trigger.job_id = page.job_id
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
-- may choose a join that reads every message there is.
WITH period AS MATERIALIZED (
    -- include: periods
)
SELECT
    coalesce(sum(counted.total), 0) AS total,
    coalesce(sum(counted.unseen), 0) AS unseen,
    coalesce(sum(counted.unread), 0) AS unread
FROM period
CROSS JOIN LATERAL (
    SELECT
        count(*) AS total,
        count(*) FILTER (WHERE NOT coalesce(seen.is_set, false)) AS unseen,
        count(*) FILTER (WHERE NOT coalesce(read.is_set, false)) AS unread
    -- include: visible
        AND NOT coalesce(archived.is_set, false)
) AS counted

-- name: feed
-- A page with the counts, and the user that a merged-away id stands for, in one snapshot.
WITH page AS (
    -- include: page
),
counts AS (
    -- include: counts
)
SELECT
    counts.*,
    (SELECT merged_into FROM rollbook.merged_users WHERE id = %(user_id)s) AS merged_into,
    page.*
FROM counts
LEFT JOIN page ON true
ORDER BY page.stamp DESC, page.id DESC
