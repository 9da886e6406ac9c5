"""A life of jobs to try Rollbook with, and the reference that says what must come of it."""
