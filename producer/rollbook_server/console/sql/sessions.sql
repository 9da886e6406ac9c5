-- name: start
-- Start a session.
INSERT INTO rollbook.console_sessions (token_hash, account, expires_at)
VALUES (%(hash)s, %(account)s, now() + %(seconds)s * interval '1 second')
RETURNING account;

-- name: find
-- The account of a session that has not ended.
SELECT
    a.name,
    a.password_hash,
    a.role,
    a.sees_personal_data,
    a.created_at,
    s.last_seen_at < now() - %(touch)s * interval '1 second' AS is_old
FROM rollbook.console_sessions AS s
JOIN rollbook.console_accounts AS a ON a.name = s.account
WHERE s.token_hash = %(hash)s
    AND s.expires_at > now()
    AND s.last_seen_at > now() - %(idle)s * interval '1 second';

-- name: touch
-- Note that a session was used.
UPDATE rollbook.console_sessions
SET last_seen_at = now()
WHERE token_hash = %(hash)s
RETURNING account;

-- name: end
-- End a session.
DELETE FROM rollbook.console_sessions
WHERE token_hash = %(hash)s
RETURNING account;

-- name: add_login_token
-- Let a token log in once.
INSERT INTO rollbook.console_login_tokens (token_hash, account, expires_at)
SELECT %(hash)s, name, now() + %(seconds)s * interval '1 second'
FROM rollbook.console_accounts
WHERE name = %(account)s
RETURNING account;

-- name: use_login_token
-- Take a token that has not expired.
DELETE FROM rollbook.console_login_tokens
WHERE token_hash = %(hash)s
    AND expires_at > now()
RETURNING account;
