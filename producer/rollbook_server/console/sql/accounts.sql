-- name: find
-- One account.
SELECT name, password_hash, role, sees_personal_data, created_at
FROM rollbook.console_accounts
WHERE name = %(name)s;

-- name: list
-- All accounts.
SELECT name, password_hash, role, sees_personal_data, created_at
FROM rollbook.console_accounts
ORDER BY name;

-- name: add
-- Add an account, unless there is one of this name.
INSERT INTO rollbook.console_accounts (name, password_hash, role, sees_personal_data)
VALUES (%(name)s, %(hash)s, %(role)s, %(sees_personal_data)s)
ON CONFLICT (name) DO NOTHING
RETURNING name;

-- name: change
-- Change what an account may do.
UPDATE rollbook.console_accounts
SET role = %(role)s,
    sees_personal_data = %(sees_personal_data)s
WHERE name = %(name)s
RETURNING name;

-- name: set_password
-- Set the password of an account.
UPDATE rollbook.console_accounts
SET password_hash = %(hash)s
WHERE name = %(name)s
RETURNING name;

-- name: end_sessions
-- End all sessions of an account.
DELETE FROM rollbook.console_sessions
WHERE account = %(name)s
RETURNING account;

-- name: end_login_tokens
-- Make all links of an account useless.
DELETE FROM rollbook.console_login_tokens
WHERE account = %(name)s
RETURNING account;

-- name: remove
-- Remove an account; its sessions and links go with it.
DELETE FROM rollbook.console_accounts
WHERE name = %(name)s
RETURNING name;
