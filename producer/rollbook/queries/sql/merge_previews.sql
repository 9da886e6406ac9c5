-- name: messages
-- How many messages of an owner a merge transfers: those from a stamp on.
SELECT count(*) AS moved
FROM rollbook.owned_messages
WHERE owner = %(owner)s
    AND stamp >= %(since)s

-- name: activities
-- How many activities of an owner a merge transfers.
SELECT count(*) AS moved
FROM rollbook.owned_activities
WHERE owner = %(owner)s
    AND stamp >= %(since)s
