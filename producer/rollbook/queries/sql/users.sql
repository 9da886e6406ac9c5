-- name: user
-- One user.
SELECT
    id,
    email,
    name,
    avatar,
    phone_number,
    locale,
    timezone,
    created_at,
    properties,
    updated_at
FROM rollbook.current_users
WHERE id = %(id)s

-- name: users
-- Users by their ids.
SELECT
    id,
    email,
    name,
    avatar,
    phone_number,
    locale,
    timezone,
    created_at,
    properties,
    updated_at
FROM rollbook.current_users
WHERE id = ANY(%(ids)s::text[])

-- name: preferences
-- The preference sets of one user, by set id.
SELECT preferences
FROM rollbook.current_users
WHERE id = %(id)s

-- name: channel_data
-- The channel data of one user, by channel id.
SELECT channel_data
FROM rollbook.current_users
WHERE id = %(id)s

-- name: primary_id
-- The user that a merged-away id stands for.
SELECT merged_into
FROM rollbook.merged_users
WHERE id = %(id)s

-- name: profile
-- One user with all values, as stored and by section.
SELECT
    profile,
    properties,
    preferences,
    channel_data,
    updated_stamp
FROM rollbook.current_users
WHERE id = %(id)s
