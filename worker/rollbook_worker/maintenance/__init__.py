"""Periodic maintenance: due jobs, erasure, retention."""
