-- name: recipient
-- The newest activities of a user before a place, span by span like its messages.
SELECT
    page.*,
    :user_id AS owner,
    act.owner AS actor,
    person.name AS actor_name,
    person.avatar AS actor_avatar
FROM (
    SELECT activity.*
    FROM rollbook.ownership AS span
    CROSS JOIN LATERAL (
        SELECT
            row.id,
            row.stamp,
            trigger.workflow,
            trigger.tenant,
            trigger.data,
            trigger.actor AS named_actor
        FROM rollbook.activities AS row
        JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id
        WHERE row.recipient = span.name
            AND row.stamp >= span.since
            AND row.stamp < span.until
            AND (row.stamp, row.id) < (CAST(:stamp AS text), CAST(:id AS uuid))
        ORDER BY row.stamp DESC
        FETCH FIRST (CAST(:limit AS integer)) ROWS WITH TIES
    ) AS activity
    WHERE span.owner = :user_id
    ORDER BY stamp DESC, id DESC
    LIMIT CAST(:limit AS integer)
) AS page
LEFT JOIN rollbook.ownership AS act
    ON act.name = page.named_actor AND page.stamp >= act.since AND page.stamp < act.until
LEFT JOIN rollbook.current_users AS person ON person.id = act.owner
ORDER BY page.stamp DESC, page.id DESC

-- name: actor
-- The newest activities that a user caused and that belong to somebody: the triggers of each span from the index on
-- (actor, stamp), and their recipients of now.
SELECT
    page.*,
    :user_id AS actor,
    person.name AS actor_name,
    person.avatar AS actor_avatar
FROM (
    SELECT activity.*
    FROM rollbook.ownership AS span
    CROSS JOIN LATERAL (
        SELECT
            row.id,
            row.stamp,
            own.owner,
            trigger.workflow,
            trigger.tenant,
            trigger.data,
            trigger.actor AS named_actor
        FROM rollbook.triggers AS trigger
        JOIN rollbook.activities AS row ON row.job_id = trigger.job_id
        JOIN rollbook.ownership AS own
            ON own.name = row.recipient AND row.stamp >= own.since AND row.stamp < own.until
        WHERE trigger.actor = span.name
            AND trigger.stamp >= span.since
            AND trigger.stamp < span.until
            AND (trigger.stamp, row.id) < (CAST(:stamp AS text), CAST(:id AS uuid))
        ORDER BY trigger.stamp DESC
        FETCH FIRST (CAST(:limit AS integer)) ROWS WITH TIES
    ) AS activity
    WHERE span.owner = :user_id
    ORDER BY stamp DESC, id DESC
    LIMIT CAST(:limit AS integer)
) AS page
LEFT JOIN rollbook.current_users AS person ON person.id = :user_id
ORDER BY page.stamp DESC, page.id DESC
