-- name: recipient
-- The newest activities of a user before a cursor, period by period like its messages.
SELECT
    page.*,
    %(user_id)s AS owner,
    act.owner AS actor,
    person.name AS actor_name,
    person.avatar AS actor_avatar
FROM (
    SELECT activity.*
    FROM rollbook.ownership AS period
    CROSS JOIN LATERAL (
        SELECT
            row.id,
            row.stamp,
            trigger.workflow,
            trigger.tenant,
            trigger.data,
            trigger.had_actor,
            trigger.actor AS named_actor
        FROM rollbook.activities AS row
        JOIN rollbook.triggers AS trigger ON trigger.job_id = row.job_id
        WHERE row.recipient = period.user_id
            AND row.stamp >= period.valid_from
            AND row.stamp < period.valid_to
            AND (row.stamp, row.id) < (%(stamp)s::text, %(id)s::uuid)
        ORDER BY row.stamp DESC
        FETCH FIRST (%(limit)s::integer) ROWS WITH TIES
    ) AS activity
    WHERE period.owner = %(user_id)s
    ORDER BY stamp DESC, id DESC
    LIMIT %(limit)s::integer
) AS page
LEFT JOIN rollbook.ownership AS act
    ON act.user_id = page.named_actor AND page.stamp >= act.valid_from AND page.stamp < act.valid_to
LEFT JOIN rollbook.current_users AS person ON person.id = act.owner
ORDER BY page.stamp DESC, page.id DESC

-- name: actor
-- The newest activities that a user caused and that a user owns: the triggers of each period, from the index on
-- (actor, stamp), and their owners of now.
SELECT
    page.*,
    %(user_id)s AS actor,
    person.name AS actor_name,
    person.avatar AS actor_avatar
FROM (
    SELECT activity.*
    FROM rollbook.ownership AS period
    CROSS JOIN LATERAL (
        SELECT
            row.id,
            row.stamp,
            own.owner,
            trigger.workflow,
            trigger.tenant,
            trigger.data,
            trigger.had_actor
        FROM rollbook.triggers AS trigger
        JOIN rollbook.activities AS row ON row.job_id = trigger.job_id
        JOIN rollbook.ownership AS own
            ON own.user_id = row.recipient AND row.stamp >= own.valid_from AND row.stamp < own.valid_to
        WHERE trigger.actor = period.user_id
            AND trigger.stamp >= period.valid_from
            AND trigger.stamp < period.valid_to
            AND (trigger.stamp, row.id) < (%(stamp)s::text, %(id)s::uuid)
        ORDER BY trigger.stamp DESC
        FETCH FIRST (%(limit)s::integer) ROWS WITH TIES
    ) AS activity
    WHERE period.owner = %(user_id)s
    ORDER BY stamp DESC, id DESC
    LIMIT %(limit)s::integer
) AS page
LEFT JOIN rollbook.current_users AS person ON person.id = %(user_id)s
ORDER BY page.stamp DESC, page.id DESC
