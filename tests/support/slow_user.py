"""A Postgres that takes 20 seconds to insert one user."""

from __future__ import annotations


def slow_user_sql(user: str) -> str:
    """SQL that makes each insert of this user take 20 seconds."""
    return f"""
        CREATE FUNCTION rollbook.slow_user() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_sleep(20);
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER slow_user BEFORE INSERT ON rollbook.users
        FOR EACH ROW WHEN (NEW.id = '{user}') EXECUTE FUNCTION rollbook.slow_user();
    """
