"""The schema, step by step: numbered migrations, each saying what it does."""
