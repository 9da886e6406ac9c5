-- name: select
-- How much is kept of the users of these ids, as text: what was received under their ids, and under those that merges have
-- joined with them. Return for each user the root of its cluster, the size, and the given ids that belong to it.
WITH given AS MATERIALIZED (
    SELECT id, coalesce(cluster_root, id) AS root
    FROM rollbook.users
    WHERE id = ANY(%(ids)s)
), members AS MATERIALIZED (
    SELECT id AS root, id
    FROM given
    WHERE root = id
    UNION
    SELECT member.cluster_root, member.id
    FROM rollbook.users AS member
    WHERE member.cluster_root = ANY(ARRAY(SELECT root FROM given))
)
SELECT
    members.root,
    sum(
        octet_length(u.profile::text) + octet_length(u.key_stamps::text) + preferences.size + tokens.size + sent.size
    )::bigint,
    (SELECT array_agg(given.id) FROM given WHERE given.root = members.root)
FROM members
JOIN rollbook.users AS u ON u.id = members.id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(
        coalesce(octet_length(settings::text), 0) + coalesce(octet_length(changes::text), 0) + octet_length(stamp)
    ), 0) AS size
    FROM rollbook.preference_set_versions AS v
    WHERE v.user_id = members.id
) AS preferences
CROSS JOIN LATERAL (
    SELECT coalesce(sum(
        octet_length(token) + coalesce(octet_length(device::text), 0) + octet_length(stamp)
    ), 0) AS size
    FROM rollbook.push_token_changes AS c
    WHERE c.user_id = members.id
) AS tokens
CROSS JOIN LATERAL (
    SELECT coalesce(sum(octet_length(token_hash) + octet_length(s.stamp)), 0) AS size
    FROM rollbook.push_token_users AS s
    WHERE s.user_id = members.id
) AS sent
GROUP BY members.root;
