"""A life of jobs to try Rollcall with, and the reference that says what must come of it."""
