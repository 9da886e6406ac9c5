"""A Postgres that takes too long over one user, whatever is told of it."""

from __future__ import annotations


def dawdle_over(user: str) -> str:
    """SQL after which nobody can be told of this user within 20 seconds."""
    return f"""
        CREATE FUNCTION rollbook.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_sleep(20);
            RETURN NEW;
        END
        $$;
        CREATE TRIGGER dawdle BEFORE INSERT ON rollbook.users
        FOR EACH ROW WHEN (NEW.id = '{user}') EXECUTE FUNCTION rollbook.dawdle();
    """
