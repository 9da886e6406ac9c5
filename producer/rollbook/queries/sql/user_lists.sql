-- The statements of lists of users are templates: what stands in braces is put in by `rollbook.queries.user_list`, from
-- constants of its own. Values are parameters.

-- name: computed_phone_number_hash
rollbook.phone_number_hash(
    rollbook.visible_attribute(cluster_root, resolved_profile, first_identified, profile, 'a.phone_number')
)

-- name: computed_email_key
rollbook.email_key(rollbook.visible_attribute(cluster_root, resolved_profile, first_identified, profile, 'a.email'))

-- name: computed_name_key
rollbook.name_key(rollbook.visible_attribute(cluster_root, resolved_profile, first_identified, profile, 'a.name'))

-- name: computed_created_key
rollbook.microseconds(
    rollbook.visible_attribute(cluster_root, resolved_profile, first_identified, profile, 'a.created_at')
)

-- name: keyed_users
-- The users, and the ids that are no users, with the keys that they are found and sorted by. Each key is the stored one
-- if there is an index on it, and otherwise computed.
SELECT
    id,
    email_hash,
    {phone_number_hash} AS phone_number_hash,
    {email_key} AS email_key,
    {name_key} AS name_key,
    {created_key} AS created_key,
    CASE WHEN cluster_root IS NULL THEN last_stamp ELSE resolved_stamp END AS updated_key,
    CASE WHEN cluster_root IS NULL THEN profile ELSE resolved_profile END AS profile,
    CASE WHEN cluster_root IS NULL THEN first_identified IS NOT NULL ELSE resolved_profile IS NOT NULL END AS is_user
FROM rollbook.users{sampled}

-- name: scan
-- Users in the order of an index, from a position on, numbered: not all that follow, so that a filter which few users
-- match costs one page a bounded time.
SELECT
    id,
    {key} AS sort_key,
    email_key,
    name_key,
    created_key,
    profile,
    is_user,
    row_number() OVER (ORDER BY {order}) AS number
FROM (
    -- include: keyed_users
) AS keyed
WHERE {range}
ORDER BY {order}
LIMIT {scanned}

-- name: rows
-- The end of both: all that readers see of each user, until there is too much of it for one page: users whose data is
-- large are noted, with their sizes. The lateral subqueries with a limit are looked up by id for each row; a join might
-- read all users.
SELECT
    found.id,
    found.sort_key,
    found.is_match,
    found.is_stop,
    found.is_cut,
    seen.email,
    seen.name,
    seen.avatar,
    seen.phone_number,
    seen.locale,
    seen.timezone,
    seen.created_at,
    seen.properties,
    seen.updated_at
FROM (
    SELECT *, coalesce(lead(bytes_before) OVER (ORDER BY {page_order}) > {most_bytes}, false) AS is_cut
    FROM (
        SELECT
            found.*,
            sum(coalesce(noted.bytes, 0)) OVER (ORDER BY {page_order}) - coalesce(noted.bytes, 0) AS bytes_before
        FROM found
        LEFT JOIN LATERAL (
            SELECT large.bytes
            FROM rollbook.users AS u
            JOIN rollbook.large_users AS large ON large.user_id = coalesce(u.cluster_root, u.id)
            WHERE u.id = found.id
                AND found.is_match
            LIMIT 1
        ) AS noted ON true
    ) AS measured
) AS found
LEFT JOIN LATERAL (
    SELECT *
    FROM rollbook.current_users AS u
    WHERE u.id = found.id
        AND found.is_match
    LIMIT 1
) AS seen ON true
WHERE found.bytes_before <= {most_bytes}
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

-- name: looked_up
-- The same of the users with one hash. In no order, so that Postgres looks for no index that has one.
SELECT id, sort_key, is_user AND {filter} AS is_match
FROM (
    SELECT id, {key} AS sort_key, email_key, name_key, created_key, profile, is_user
    FROM (
        -- include: keyed_users
    ) AS keyed
    WHERE {range}
    LIMIT {scanned}
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
    -- include: keyed_users
) AS sampled

-- name: count_indexes
-- How many of these indexes are there.
SELECT count(*) AS found
FROM pg_index
WHERE indexrelid = ANY(ARRAY(SELECT to_regclass('rollbook.' || name) FROM unnest(%(indexes)s::text[]) AS name))
    AND indisvalid

-- name: is_large
-- Whether there are more users than one read may look at.
SELECT count(*) >= {scanned} AS is_large
FROM (
    SELECT
    FROM rollbook.users
    LIMIT {scanned}
) AS few
