"""What a role that may create in `public` plants there, to have it run by others: operators, functions, casts and types
that match a call better than Postgres' own. Each raises an error as soon as it runs.
"""

from __future__ import annotations

from typing import Final

import psycopg

_TYPES: Final = (
    *("text", "varchar", "name", "jsonb", "bytea", "text[]", "integer", "bigint", "double precision"),
    *("interval", "timestamptz", "oid", "regclass"),
)
_SECOND_TYPES: Final = ("text", "jsonb", "integer")
_OPERATORS: Final = ("||", "->", "->>", "-", "+", "*", "/")
_COMPARISONS: Final = ("=", "<>", "<", ">", "<=", ">=", "?", "?|", "~~")
_FUNCTIONS: Final = (
    *("to_jsonb", "to_json", "jsonb_build_object", "jsonb_build_array", "jsonb_object_agg", "jsonb_agg", "array_agg"),
    *("unnest", "cardinality", "count", "max", "min", "format", "concat", "left", "right", "substr", "lower", "length"),
    *("to_regclass", "set_config", "decode", "convert_to", "translate", "rtrim", "string_to_table", "octet_length"),
    *("has_column_privilege", "has_schema_privilege", "jsonb_typeof", "jsonb_set", "pg_relation_size", "timezone"),
)
HIJACKED: Final = "hijacked"

_PLANT: Final = f"""
CREATE FUNCTION public.caught() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE '{HIJACKED} as %', current_user;
END
$$;
GRANT EXECUTE ON FUNCTION public.caught() TO PUBLIC;
"""


def plant(connection: psycopg.Connection) -> None:
    """Create all of it, as the connection's role."""
    connection.execute(_PLANT.encode())
    body = "LANGUAGE plpgsql AS $$ BEGIN PERFORM public.caught(); RETURN NULL; END $$"
    statements = []
    for left in _TYPES:
        for right in _TYPES:
            statements.append(f"CREATE FUNCTION public.trap({left}, {right}) RETURNS {left} {body}")
            statements.append(f"CREATE FUNCTION public.trap_of_truth({left}, {right}) RETURNS boolean {body}")
            statements += [
                f"CREATE OPERATOR public.{name} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.{function})"
                for function, names in (("trap", _OPERATORS), ("trap_of_truth", _COMPARISONS))
                for name in names
            ]
        for name in _FUNCTIONS:
            statements.append(f"CREATE FUNCTION public.{name}({left}) RETURNS text {body}")
            statements += [
                f"CREATE FUNCTION public.{name}({left}, {right}) RETURNS text {body}" for right in _SECOND_TYPES
            ]
    for name in ("text", "jsonb", "timestamptz", "regclass", "oid"):
        statements.append(f"CREATE DOMAIN public.{name} AS pg_catalog.int4")
    statements.append("CREATE TYPE public.mine AS ENUM ('a')")
    for name in ("text", "bigint", "jsonb", "interval"):
        cast = f"CREATE FUNCTION public.to_mine(pg_catalog.{_INTERNAL.get(name, name)}) RETURNS public.mine {body}"
        statements.append(cast)
        statements.append(
            f"CREATE CAST (pg_catalog.{_INTERNAL.get(name, name)} AS public.mine)"
            f" WITH FUNCTION public.to_mine(pg_catalog.{_INTERNAL.get(name, name)}) AS IMPLICIT"
        )
    connection.execute(";".join(statements).encode())


_INTERNAL: Final = {"bigint": "int8"}
