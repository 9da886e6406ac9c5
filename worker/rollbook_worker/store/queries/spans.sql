-- name: spans_of
-- Who owns what was addressed to these ids.
SELECT name, since, until, owner, known
FROM rollbook.spans
WHERE name = ANY(%(names)s);

-- name: forget_spans
-- Make room for the spans of these ids.
DELETE FROM rollbook.spans
WHERE name = ANY(%(names)s);

-- name: span
-- Write who owns what was addressed to an id, and when.
INSERT INTO rollbook.spans (name, since, until, owner, known)
SELECT name, since, until, owner, known
FROM json_to_recordset(%(spans)s::json) AS n (name text, since text, until text, owner text, known boolean);
