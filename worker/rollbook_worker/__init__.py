"""Applies jobs to Postgres, idempotently and in any order."""
