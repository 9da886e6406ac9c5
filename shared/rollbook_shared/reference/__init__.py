"""The reference: what must come of a set of jobs. Tests, the demo and chaos runs compare with it."""
