-- name: recipient
-- The newest activities of a user before a cursor, period by period like its messages, with actors looked up alike.
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
        CROSS JOIN LATERAL (
            SELECT workflow, tenant, data, had_actor, actor
            FROM rollbook.triggers
            WHERE job_id = row.job_id
                AND stamp = row.stamp
            LIMIT 1
        ) AS trigger
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
LEFT JOIN LATERAL (
    SELECT own.owner
    FROM rollbook.ownership AS own
    WHERE own.user_id = page.named_actor
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
        JOIN rollbook.activities AS row ON row.job_id = trigger.job_id AND row.stamp = trigger.stamp
        CROSS JOIN LATERAL (
            SELECT owner
            FROM rollbook.ownership
            WHERE user_id = row.recipient
                AND row.stamp >= valid_from
                AND row.stamp < valid_to
            LIMIT 1
        ) AS own
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
LEFT JOIN LATERAL (
    SELECT name, avatar
    FROM rollbook.current_users
    WHERE id = %(user_id)s
    LIMIT 1
) AS person ON true
ORDER BY page.stamp DESC, page.id DESC
