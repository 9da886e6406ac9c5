"""Periodic maintenance: deferred jobs that are due, erasure, retention."""
