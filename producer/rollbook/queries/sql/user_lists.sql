-- The statements of lists of users are templates: what stands in braces is put in by `rollbook.queries.user_list`, from
-- constants of its own. Values are parameters.

-- name: scan
-- Users in the order of an index, from a position on, numbered: not all that follow, so that a filter which few users
-- match costs one page a bounded time. Ids that are no users are among them.
SELECT
    id,
    {key} AS sort_key,
    email_key,
    name_key,
    created_key,
    CASE WHEN cluster_root IS NULL THEN profile ELSE resolved_profile END AS profile,
    CASE WHEN cluster_root IS NULL THEN first_identified IS NOT NULL ELSE resolved_profile IS NOT NULL END AS is_user,
    row_number() OVER (ORDER BY {order}) AS number
FROM rollbook.users
WHERE {range}
ORDER BY {order}
LIMIT {scanned}

-- name: rows
-- The end of both: all that readers see of each user. The lateral subquery with its limit is looked up by id for each
-- row; a join might read all users.
SELECT
    found.id,
    found.sort_key,
    found.is_match,
    found.is_stop,
    seen.email,
    seen.name,
    seen.avatar,
    seen.phone_number,
    seen.locale,
    seen.timezone,
    seen.created_at,
    seen.properties,
    seen.updated_at
FROM found
LEFT JOIN LATERAL (
    SELECT *
    FROM rollbook.current_users AS u
    WHERE u.id = found.id
        AND found.is_match
    LIMIT 1
) AS seen ON true
ORDER BY {page_order}

-- name: walk
-- The users of a scan that match, and its last row, if it ended before there were enough. The order is that of the scan:
-- with an ORDER BY here, Postgres would plan to read all of it, and sometimes prefer to sort.
WITH found AS MATERIALIZED (
    SELECT id, sort_key, is_user AND {filter} AS is_match, number = {scanned} AS is_stop
    FROM (
        -- include: scan
    ) AS scanned
    WHERE (is_user AND {filter})
        OR number = {scanned}
    LIMIT {wanted}
)
-- include: rows

-- name: candidates
-- The users of one small range, each with whether it matches.
SELECT id, sort_key, is_user AND {filter} AS is_match
FROM (
    -- include: scan
) AS scanned

-- name: collect
-- The users of a few small ranges, sorted, and, if there were too many to sort, a row that says so.
WITH candidates AS MATERIALIZED (
    {candidates}
), found AS (
    (
        SELECT id, sort_key, true AS is_match, false AS is_stop
        FROM candidates
        WHERE is_match
            AND {position}
        ORDER BY {page_order}
        LIMIT {wanted}
    )
    UNION ALL
    (
        SELECT id, sort_key, false, true
        FROM candidates
        WHERE (SELECT count(*) FROM candidates) >= {scanned}
        LIMIT 1
    )
)
-- include: rows

-- name: count
-- How many users of a few small ranges match, and how many were looked at.
SELECT count(*) FILTER (WHERE is_match) AS matching, count(*) AS candidates
FROM (
    {candidates}
) AS candidates

-- name: size
-- The size of the table in pages, with all its partitions.
SELECT coalesce(
    (SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree('rollbook.users')),
    pg_relation_size('rollbook.users')
) / current_setting('block_size')::integer AS pages

-- name: sample
-- How many users of some pages of the table, which Postgres picks by chance, match.
SELECT count(*) FILTER (WHERE is_user AND {filter}) AS matching
FROM (
    SELECT
        id,
        email_key,
        name_key,
        created_key,
        CASE WHEN cluster_root IS NULL THEN profile ELSE resolved_profile END AS profile,
        CASE
            WHEN cluster_root IS NULL THEN first_identified IS NOT NULL
            ELSE resolved_profile IS NOT NULL
        END AS is_user
    FROM rollbook.users TABLESAMPLE SYSTEM (%(percent)s)
) AS sampled

-- name: can_sort_by_update
-- Whether the index that sorts users by their newest change is there.
SELECT EXISTS (
    SELECT 1
    FROM pg_index
    WHERE indexrelid = to_regclass('rollbook.users_updated_at')
        AND indisvalid
) AS can_sort
