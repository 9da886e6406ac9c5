-- name: spans
-- When which id stood for the user, and whether it ever said what it does not want to hear of: most never do, and their
-- messages need not be asked for one by one. Whatever is not false lets through.
SELECT
    name,
    since,
    until,
    coalesce(
        (
            SELECT true
            FROM rollbook.wishes AS wish
            WHERE wish.name = own.name
                AND jsonb_path_exists(wish.settings, '$.** ? (@ == false)')
            LIMIT 1
        ),
        false
    ) AS has_opted_out
FROM rollbook.ownership AS own
WHERE owner = :user_id

-- name: visible
-- The messages of one span that the user wanted, as in the view owned_messages. That view would look for the owner of
-- every row; here the owner is known, and the rows come from the index on (recipient, stamp) in the order of a feed.
FROM rollbook.messages AS row
LEFT JOIN rollbook.marks AS seen ON seen.message_id = row.id AND seen.mark = 'seen'
LEFT JOIN rollbook.marks AS read ON read.message_id = row.id AND read.mark = 'read'
LEFT JOIN rollbook.marks AS archived ON archived.message_id = row.id AND archived.mark = 'archived'
WHERE row.recipient = span.name
    AND row.stamp >= span.since
    AND row.stamp < span.until
    AND (CAST(:channel AS text) IS NULL OR row.channel = CAST(:channel AS text))
    AND (
        NOT span.has_opted_out
        OR (
            SELECT rollbook.allowed(
                rollbook.wanted(row.recipient, cause.tenant, row.stamp), cause.workflow, cause.categories, row.channel
            )
            FROM rollbook.triggers AS cause
            WHERE cause.job_id = row.job_id
        )
    )

-- name: page
-- The newest messages of a user before a place. Each span gives its newest, and those of the same stamp as the last of
-- them, so that no row needs sorting before it is known to be on the page.
WITH span AS MATERIALIZED (
    {spans}
)
SELECT
    page.*,
    trigger.workflow,
    trigger.tenant,
    trigger.data,
    trigger.actor AS named_actor,
    act.owner AS actor,
    person.name AS actor_name,
    person.avatar AS actor_avatar
FROM (
    SELECT message.*
    FROM span
    CROSS JOIN LATERAL (
        SELECT
            row.id,
            row.job_id,
            row.stamp,
            row.channel,
            coalesce(seen.is_set, 0) AS seen,
            coalesce(read.is_set, 0) AS read,
            coalesce(archived.is_set, 0) AS archived
        {visible}
            AND (row.stamp, row.id) < (CAST(:stamp AS text), CAST(:id AS uuid))
            AND CASE CAST(:status AS text)
                WHEN 'any' THEN true
                WHEN 'all' THEN coalesce(archived.is_set, 0) = 0
                WHEN 'unseen' THEN coalesce(archived.is_set, 0) = 0 AND coalesce(seen.is_set, 0) = 0
                WHEN 'unread' THEN coalesce(archived.is_set, 0) = 0 AND coalesce(read.is_set, 0) = 0
                WHEN 'archived' THEN archived.is_set = 1
            END
        ORDER BY row.stamp DESC
        FETCH FIRST (CAST(:limit AS integer)) ROWS WITH TIES
    ) AS message
    ORDER BY stamp DESC, id DESC
    LIMIT CAST(:limit AS integer)
) AS page
JOIN rollbook.triggers AS trigger ON trigger.job_id = page.job_id
LEFT JOIN rollbook.ownership AS act
    ON act.name = trigger.actor AND page.stamp >= act.since AND page.stamp < act.until
LEFT JOIN rollbook.current_users AS person ON person.id = act.owner
ORDER BY page.stamp DESC, page.id DESC

-- name: counts
-- How many messages of a channel a user has, without the archived ones. Counted span by span, or the planner may take
-- it for a join that is worth a look at every message there is.
WITH span AS MATERIALIZED (
    {spans}
)
SELECT
    coalesce(sum(counted.total), 0) AS total,
    coalesce(sum(counted.unseen), 0) AS unseen,
    coalesce(sum(counted.unread), 0) AS unread
FROM span
CROSS JOIN LATERAL (
    SELECT
        count(*) AS total,
        count(*) FILTER (WHERE coalesce(seen.is_set, 0) = 0) AS unseen,
        count(*) FILTER (WHERE coalesce(read.is_set, 0) = 0) AS unread
    {visible}
        AND coalesce(archived.is_set, 0) = 0
) AS counted

-- name: feed
-- A page with the counts, and whom a merged-away id stands for, as of one moment.
WITH page AS (
    {page}
),
counts AS (
    {counts}
)
SELECT
    counts.*,
    (SELECT merged_into FROM rollbook.merged_users WHERE id = :user_id) AS merged_into,
    page.*
FROM counts
LEFT JOIN page ON true
ORDER BY page.stamp DESC, page.id DESC
